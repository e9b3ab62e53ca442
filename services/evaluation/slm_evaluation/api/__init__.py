"""The HTTP side of the evaluation service."""
