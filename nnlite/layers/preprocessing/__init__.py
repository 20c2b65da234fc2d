"""Layers that scale the data."""
