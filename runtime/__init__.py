"""The platform extension: the `/runtime` API, its store, compute targets, engines and the simulator.

Law: reached only over HTTP, even in one process; its tables share no transaction or foreign key with Opsmesh's own.
"""
