"""The use cases of the evaluation service."""
