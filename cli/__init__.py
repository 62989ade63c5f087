"""The `opsmesh` command: thin verbs with lazy imports.

Law: a verb parses, calls, renders. It talks to the running server, or takes an exclusive lock on the store when there
is none; it decides nothing and stores nothing.
"""
