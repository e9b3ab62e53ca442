"""The event catalogue: every event class, the streams and consumers that carry them, their wire form."""
