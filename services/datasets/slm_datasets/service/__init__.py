"""The use cases of the datasets service."""
