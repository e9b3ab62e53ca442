"""The HTTP side of the training service."""
