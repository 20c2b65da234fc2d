"""The bytes of the kinds of files, and nothing of models."""
