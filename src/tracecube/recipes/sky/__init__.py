"""Places on the sky."""
