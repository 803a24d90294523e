"""From electrons to erg."""
