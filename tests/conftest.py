"""Every test may use the real servers of `slm_shared.testing`."""

pytest_plugins = ["slm_shared.testing"]
