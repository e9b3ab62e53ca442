"""Which service owns which path."""

PREFIX = "/api/"
OWNERS = {
    "datasets": "datasets",
    "evaluations": "evaluation",
    "experiments": "training",
    "models": "registry",
    "plans": "training",
    "runs": "training",
    "statistics": "training",
    "workers": "training",
}
"""First path segment below `/api/` to service. What is not listed (leases above all) is not public."""

OPERATIONS = "operations"
"""Below it the second segment names the service."""

SERVICES = tuple(sorted(set(OWNERS.values())))


def owner_of(path: str) -> str | None:
    """The service that owns a path, or None.

    >>> owner_of("/api/runs/0190:cancel")
    'training'
    >>> owner_of("/api/operations/registry/audit")
    'registry'
    >>> owner_of("/api/leases:claim") is None
    True
    """
    if not path.startswith(PREFIX):
        return None
    segment, _, rest = path[len(PREFIX) :].partition("/")
    if segment == OPERATIONS:
        service = rest.partition("/")[0]
        return service if service in SERVICES else None
    return OWNERS.get(segment.partition(":")[0])
