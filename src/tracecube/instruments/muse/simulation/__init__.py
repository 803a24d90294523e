"""A night run forwards: optics, light, field, read-out."""
