"""What runs in the process that trains, started by the supervisor: torch, the rows, the trainer, its files.

It has no credentials and no network. `main` is its entry; on a cluster, `serving` does the same work on each node.
"""
