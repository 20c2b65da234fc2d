"""File formats, without any knowledge of models."""
