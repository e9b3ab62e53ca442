"""The gateway: the one public address of the platform.

Owns nothing yet (people, tokens, sessions, webhooks and audit come with sign-in), publishes nothing, consumes every
event for the live feed. Forwards `/api/<resource>` to the service that owns the resource, streaming both ways, and adds
what spans services: the caller's identity, the merged API description, the overview and the live feed.
"""
