"""The whole platform on one machine: `python -m slm_local`.

Owns the child processes (NATS, PostgreSQL, S3, the services, the workers), their logs and their data folder. They are
the programs that also run in production.
"""
