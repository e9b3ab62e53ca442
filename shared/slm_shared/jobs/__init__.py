"""Leased work: a service owns jobs in its database, workers on any machine do them under leases.

`protocol` is what both ends say. The service's end: `leases` (the rows), `lifecycle` (what happens to them), `routes`,
`reaper`. The worker's end: `client`, `worker` (the loop), `supervisor` and `child` (the process that computes), with
`oom` and `run_module`.

A new kind of work needs, in its service, a subclass of `lifecycle.LeasedWork` with its own `protocol.Grant`, handed to
`routes.lease_routes` and to `reaper.Reaper`; in its worker, a `worker.Work`, whose `run` follows a child with
`supervisor.hear`. `slm_evaluation` is the shortest example.

Words: a *lease* lets one worker work until it expires; its *epoch* is the fencing token; an *attempt* is one lease of a
job. A user *cancels* or *pauses* a job. A worker *drains* when it is told to stop: it saves what it has and *releases*
the lease, so that another attempt goes on. Leases that run out are *reaped*.
"""
