"""Records in PostgreSQL, or in a SQLite file where nobody set one up."""
