"""From raw pixels to electrons with variance and flags."""
