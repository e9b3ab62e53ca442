"""The whole platform on one machine: `python -m slm_local`.

Owns the child processes (NATS, PostgreSQL, S3, the services, the workers), their logs and their data folder; the
programs are the ones that production runs.
"""
