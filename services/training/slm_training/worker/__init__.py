"""The trainer: a second process of the training service that claims runs and really trains them.

Owns nothing; publishes telemetry of running experiments; is woken by `run.launched` and works under a lease.

`supervisor` runs in the worker's own process, `child` in the process that trains, `cluster` in processes of a Ray
cluster; `job`, `errors` and `settings` are what they share. A user *pauses* a run. A worker *drains*: told to stop (by
its operator or because of a pause), its training stops at the next checkpoint, from which another goes on.
"""
