"""The HTTP side of the datasets service."""
