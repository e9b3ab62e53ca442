"""Bodies of the evaluation service: `evaluations` for its users, `leases` for its workers."""
