"""How a driver reaches its cluster and what it asks of it."""

import os

from pydantic import BaseModel, ConfigDict

HEALTH_CHECK_S = 1.0


class ClusterOptions(BaseModel):
    """`address` is `host:port` or, for the cluster of this machine, `auto`.

    Each process of a training takes `cpus` and `gpus` of one node. A training that finds no room within
    `start_timeout_s` ends, to be tried again later.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    cpus: int
    gpus: int
    start_timeout_s: float

    @property
    def per_process(self) -> dict[str, float]:
        """In Ray's names."""
        needed = {"CPU": float(self.cpus), "GPU": float(self.gpus)}
        return {name: count for name, count in needed.items() if count}

    def environment(self) -> dict[str, str]:
        """What the driver's environment has beside that of other children."""
        # How a cluster is reached (certificates, tokens) is said in Ray's variables, which carry nothing of ours.
        theirs = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
        return {
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": str(HEALTH_CHECK_S),
            "RAY_TRAIN_METRICS_ENABLED": "0",
            **theirs,
            "RAY_TRAIN_V2_ENABLED": "1",
            "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(self.start_timeout_s),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
