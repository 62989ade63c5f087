"""The `/runtime` HTTP API: authenticate, scope to one tenant, read, and one door for every write."""
