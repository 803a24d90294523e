"""The nouns: frozen dataclasses, flags, parameters, quality numbers, errors."""
