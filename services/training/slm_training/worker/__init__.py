"""The trainer: a second process of the training service that claims runs and really trains them.

Owns nothing; publishes telemetry of running experiments; is woken by `run.launched` and works under a lease.
Only the child (`child`, `training`, `trainer`, `data`, `reporting`) imports torch; the supervisor never does.
"""
