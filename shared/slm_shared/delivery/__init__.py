"""Delivery of events: outbox, relay, bus, inbox, dead letters, and what brings lost events back."""
