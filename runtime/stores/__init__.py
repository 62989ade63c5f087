"""Tenants' data stores: the port they are reached by, and the simulated ones, real SQLite files under write load."""
