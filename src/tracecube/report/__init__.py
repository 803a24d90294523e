"""Figures and pages, from products only."""
