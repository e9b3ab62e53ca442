"""`client.experiments`."""

from collections.abc import Callable, Sequence

from slm_client import calls
from slm_client.models import Checkpoints, Comparison, Drift, Experiment, Log, Metrics, Page
from slm_client.resources.base import Resource, poll

DAY_S = 86_400.0


class Experiments(Resource):
    """`client.experiments`."""

    def list(
        self,
        *,
        status: str | None = None,
        dataset_id: str | None = None,
        base_model_id: str | None = None,
        tag: str | None = None,
        owner: str | None = None,
        q: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Experiment]:
        """A page of experiments, newest first unless sorted otherwise, e.g. by `eval_loss`."""
        call = calls.list_experiments(
            status=status,
            dataset_id=dataset_id,
            base_model_id=base_model_id,
            tag=tag,
            owner=owner,
            q=q,
            sort=sort,
            limit=limit,
            cursor=cursor,
        )
        return self._client.send(call)

    def get(self, experiment_id: object) -> Experiment:
        """One experiment."""
        return self._client.send(calls.get_experiment(experiment_id))

    def metrics(self, experiment_id: object, *, name: str | None = None, points: int | None = None) -> Metrics:
        """Its metric series, all or the one called `name`, raw or thinned out to at most `points` each."""
        return self._client.send(calls.experiment_metrics(experiment_id, name=name, points=points))

    def log(
        self,
        experiment_id: object,
        *,
        limit: int = 200,
        after: int = 0,
        levels: Sequence[str] = (),
        q: str | None = None,
    ) -> Log:
        """The last lines of its log, or those behind the line whose `seq` is `after`; of these levels, with `q`."""
        call = calls.experiment_log(experiment_id, limit=limit, after=after, levels=levels, q=q)
        return self._client.send(call)

    def checkpoints(self, experiment_id: object) -> Checkpoints:
        """The checkpoints that are kept, with their metrics."""
        return self._client.send(calls.experiment_checkpoints(experiment_id))

    def drift(self, experiment_id: object) -> Drift:
        """How a reproduction differs from the experiment that it repeats."""
        return self._client.send(calls.experiment_drift(experiment_id))

    def compare(self, ids: Sequence[object], *, names: Sequence[str] = (), points: int = 500) -> Comparison:
        """Experiments side by side: the options in which they differ, and their curves."""
        return self._client.send(calls.compare_experiments(ids, names=names, points=points))

    def wait(
        self,
        experiment_id: object,
        *,
        timeout_s: float = DAY_S,
        until: Callable[[Experiment], bool] = lambda experiment: experiment.is_finished,
        on_change: Callable[[Experiment], None] | None = None,
    ) -> Experiment:
        """The experiment once it has ended (or `until` says so); `on_change` sees every look at it."""
        return poll(
            lambda: self.get(experiment_id),
            until,
            what=f"The end of experiment {experiment_id}",
            timeout_s=timeout_s,
            on_change=on_change,
        )
