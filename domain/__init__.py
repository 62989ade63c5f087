"""The vocabulary of Opsmesh: frozen values every room shares, with no I/O and no clock.

Law: modules here import pydantic, rfc8785 and the standard library only. A thing belongs here when two rooms
must agree on its meaning; a thing that reads, writes, waits or decides does not.
"""
