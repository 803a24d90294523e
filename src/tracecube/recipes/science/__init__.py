"""From spectra and cubes to sources."""
