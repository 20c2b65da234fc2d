"""Keras's files in and out; reading one never runs anything."""
