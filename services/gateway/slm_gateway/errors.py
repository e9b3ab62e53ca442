"""What the gateway itself refuses."""

from slm_shared.errors import ForbiddenError, MalformedError, NotFoundError, UnavailableError


class RouteNotFoundError(NotFoundError):
    """No service owns this path, or it is none of the public ones."""

    code = "route_not_found"


class TargetMalformedError(MalformedError):
    """The request target is not ASCII."""

    code = "target_malformed"


class OriginNotAllowedError(ForbiddenError):
    """A web page of another site, or a name that is not this machine's, is speaking through a browser."""

    code = "origin_not_allowed"


class ServiceUnavailableError(UnavailableError):
    """The service behind the gateway does not answer."""

    code = "service_unavailable"


class FeedUnavailableError(UnavailableError):
    """The event stream cannot be read now."""

    code = "feed_unavailable"
