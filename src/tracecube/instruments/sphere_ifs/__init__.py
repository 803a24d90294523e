"""SPHERE-IFS at the Very Large Telescope."""
