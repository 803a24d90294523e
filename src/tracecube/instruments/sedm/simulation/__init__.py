"""A simulated SED Machine: optics, lamps, sky, guider, headers and truth."""
