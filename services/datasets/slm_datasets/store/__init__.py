"""Every query of the datasets service."""
