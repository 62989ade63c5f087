"""SQL storage: one schema for SQLite and PostgreSQL, tested on both.

Law: tables, engine and transactions live here, meaning does not. A room that stores something adds its tables in
`storage/tables/` and its queries in its own folder, always scoped by tenant.
"""
