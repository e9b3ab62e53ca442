"""Real servers, databases and running apps for tests.

`pytest_plugins = ["slm_testing.plugin"]` gives the fixtures; the other modules are what they hand out.
"""
