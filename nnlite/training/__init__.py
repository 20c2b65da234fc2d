"""Training: from the data of a user to the updates of a model."""
