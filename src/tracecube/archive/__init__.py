"""The database: raw files, products, jobs, provenance."""
