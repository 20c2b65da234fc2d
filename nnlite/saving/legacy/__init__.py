"""Translates files of earlier versions of Keras."""
