"""The evaluation worker: a supervisor without torch, and the child that measures."""
