"""Leased work: the protocol between a service and its workers, the worker loop, supervised child processes."""
