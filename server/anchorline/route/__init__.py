"""The choice of the model."""
