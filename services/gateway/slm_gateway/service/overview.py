"""The platform at a glance, asked from the services at the same time; one that is away is named, not an error."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from slm_gateway.errors import ServiceUnavailableError
from slm_gateway.schemas import Count, Overview
from slm_gateway.service.upstreams import Upstreams
from slm_shared.identity.principal import Principal

PAGE_SIZE = 100
# Counting is bounded, so that the overview stays quick on a platform with many thousands of experiments.
MAX_PAGES = 5
RECENT = 5


@dataclass
class _Listing:
    """The first items of a collection, newest first; `is_complete` tells whether there are no more."""

    items: list[dict[str, Any]] = field(default_factory=list)
    is_complete: bool = True

    def count(self, by: str) -> Count:
        """How many there are, also by the field `by`."""
        kinds = Counter(str(item[by]) for item in self.items if by in item)
        return Count(total=len(self.items), by_status=dict(kinds), is_exact=self.is_complete)


async def overview(upstreams: Upstreams, principal: Principal) -> Overview:
    """Counts of datasets, models and experiments, what runs now and the last five experiments."""
    asked = {"datasets": "datasets", "models": "registry", "experiments": "training"}
    answers = await asyncio.gather(
        *(_listing(upstreams, principal, service, f"/api/{name}") for name, service in asked.items()),
        return_exceptions=True,
    )
    found: dict[str, _Listing] = {}
    unavailable: list[str] = []
    for (name, service), answer in zip(asked.items(), answers, strict=True):
        if isinstance(answer, ServiceUnavailableError):
            unavailable.append(service)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[name] = answer
    experiments = found["experiments"].items if "experiments" in found else []
    return Overview(
        datasets=found["datasets"].count("status") if "datasets" in found else None,
        models=found["models"].count("kind") if "models" in found else None,
        experiments=found["experiments"].count("status") if "experiments" in found else None,
        running=[experiment for experiment in experiments if experiment.get("status") == "running"],
        recent_experiments=experiments[:RECENT],
        unavailable=sorted(unavailable),
    )


async def _listing(upstreams: Upstreams, principal: Principal, service: str, path: str) -> _Listing:
    listing = _Listing()
    params = {"limit": str(PAGE_SIZE)}
    for _ in range(MAX_PAGES):
        page = await upstreams.ask(service, path, principal=principal, params=params)
        listing.items += page.get("items", [])
        cursor = page.get("next_cursor")
        if not cursor:
            return listing
        params = {**params, "cursor": str(cursor)}
    listing.is_complete = False
    return listing
