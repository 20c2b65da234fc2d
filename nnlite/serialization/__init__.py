"""Serialization: objects as plain data, and registries of names."""
