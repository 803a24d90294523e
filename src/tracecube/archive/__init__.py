"""The database: raw files, jobs, products and where they come from. The only truth of the engine."""
