"""What runs in child processes: they read untrusted files, without credentials and without a network."""
