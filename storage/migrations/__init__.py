"""Schema migrations: run by servers; tests hold them equal to the tables the code declares."""
