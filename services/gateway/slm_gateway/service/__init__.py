"""What the gateway does itself: ask the services, count, describe."""
