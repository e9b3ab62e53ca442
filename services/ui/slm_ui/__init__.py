"""The web console: what a team sees of the platform in a browser.

Owns nothing, publishes nothing, consumes nothing. It speaks only the public REST API, through `slm_client`.
"""
