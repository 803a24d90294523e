"""Exposures of image slicers, still on their pixels."""
