"""Compliance rules: what a policy set's controls find on one state of an environment, and what would make it right.

Pure and shared: the runtime judges what is and what shall be, the mesh judges what a command's preview leads to.
"""
