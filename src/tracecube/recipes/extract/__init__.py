"""From frames to spectra."""
