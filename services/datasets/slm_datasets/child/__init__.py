"""What runs in child processes, which read files of strangers without credentials and without a network."""
