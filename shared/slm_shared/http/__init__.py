"""The HTTP edge of every service: the app, routing, request reading, problems, access, paging, idempotency."""
