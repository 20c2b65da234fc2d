"""Training: from a user's data to the updates of a model."""
