"""Certificates and credentials as real things: files, signatures, TLS listeners and logins on loopback.

Here lie the adapters of the ports in `runtime/services/certificates/ports.py`. What decides when to rotate is not here.
"""
