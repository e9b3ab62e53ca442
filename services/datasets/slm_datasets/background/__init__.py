"""What runs beside the requests: the work queues and the cleanup of files."""
