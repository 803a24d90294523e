"""From samples to regular grids."""
