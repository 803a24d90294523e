"""Nouns to files and back; the only place that knows FITS."""
