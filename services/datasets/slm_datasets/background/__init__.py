"""What runs beside the requests: the work queues, and the removal of files that nobody needs any more."""
