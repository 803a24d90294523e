"""Pieces of a simulated night."""
