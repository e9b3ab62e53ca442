"""HTTP bodies of the training service."""
