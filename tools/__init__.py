"""Typed wrappers over the runtime API: readers return evidence, actions plan, apply, verify and undo.

Law: a tool knows arguments and paths, never policy; every call is bounded in time and size, every vendor error is
translated here, and nothing takes effect without a grant.
"""
