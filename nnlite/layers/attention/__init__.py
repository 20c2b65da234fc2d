"""Attention: each query reads the values whose keys are like it."""
