"""What runs in the worker's own process: input and output, telemetry, uploads of checkpoints, starting the child.

Nothing here imports torch: the process stays small, and only it holds the credentials of the platform.
"""
