"""The use cases of the training service: launching, leasing, telemetry."""
