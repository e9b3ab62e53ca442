"""Contracts and plumbing of every service; imports no service and nothing of the torch side.

Rooms: `events` (the catalogue and its streams), `delivery` (outbox, bus, inbox, dead letters), `http` (the web edge),
`jobs` (leased work and its workers), `storage` (database, object store, manifests, audit log), `identity` (principals
and keys), `observability` (logs and traces). Beside them: `settings`, `errors`, `background` (tasks beside the
requests), `peers` (other services' REST) and `migrate` (databases, streams and bucket brought to this version).
"""
