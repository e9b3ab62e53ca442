"""Trainings on a Ray cluster: a driver beside the supervisor submits the same training to Ray Train.

The driver speaks the protocol of `slm_shared.jobs.child`. The nodes need the code and nothing else: base model and rows
go to them, and checkpoints and the result come back, through Ray's object store. They hold no credential of the
platform and share no file system with anybody. Only `driver`, `failures`, `submission` and `node_process` import Ray.
"""
