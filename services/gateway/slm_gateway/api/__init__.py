"""The HTTP side of the gateway: the front door, forwarding, and the gateway's own endpoints."""
