"""Faults on purpose: what a target offers of them, and the adapters that do it."""
