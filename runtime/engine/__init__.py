"""Engines: what turns a desired-state document into changes of a compute target."""
