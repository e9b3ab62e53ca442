"""Edits name the version that they change: the entity tag of what was read, in `If-Match` (RFC 9110, 13.1.1)."""

from slm_shared.errors import PlatformError

ANY = "*"
MAX_DIGITS = 9


class VersionRequiredError(PlatformError):
    """An edit must say which version it is of."""

    status, code, title = 428, "version_required", "If-Match is missing"


class VersionConflictError(PlatformError):
    """Somebody else changed it since it was read."""

    status, code, title = 412, "version_conflict", "Changed meanwhile"


def version_named(if_match: str | None) -> int | None:
    """The version that `If-Match` names, or None for `*`, which takes whatever there is.

    Raises VersionRequiredError without the header, and VersionConflictError for a tag that is none of ours.
    """
    if not if_match or not if_match.strip():
        hint = "Send the ETag of what you read."
        raise VersionRequiredError("An edit must name in If-Match the version that it is of.", hint=hint)
    tag = if_match.strip()
    if tag == ANY:
        return None
    digits = tag.removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= MAX_DIGITS):
        raise VersionConflictError("If-Match names no version of this.", hint="Read it again.")
    return int(digits)
