"""Which paths, headers and callers pass the gateway."""

import pytest
from pydantic import ValidationError

from slm_gateway.domain.access import is_foreign_name, is_foreign_write, is_loopback
from slm_gateway.domain.headers import is_identity, to_client, to_upstream
from slm_gateway.domain.routing import owner_of
from slm_gateway.settings import GatewaySettings


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/datasets", "datasets"),
        ("/api/datasets/upload", "datasets"),
        ("/api/runs/0190:cancel", "training"),
        ("/api/experiments/0190/metrics", "training"),
        ("/api/models/nano-v1", "registry"),
        ("/api/evaluations", "evaluation"),
        ("/api/leases:claim", None),
        ("/api/leases/0190:complete", None),
        ("/api/evaluation-leases:claim", None),
        ("/api//runs", None),
        ("/api/RUNS", None),
        ("/runs", None),
        ("/api/", None),
        ("/", None),
    ],
)
def test_first_segment_decides(path: str, service: str | None) -> None:
    assert owner_of(path) == service


@pytest.mark.parametrize(
    "name",
    [
        b"slm-principal", b"x-user-id", b"x-forwarded-user", b"x-forwarded-for", b"x-remote-user", b"remote-user",
        b"authorization", b"cookie", b"x-auth-request-email", b"x-roles", b"forwarded", b"x-client-cert",
    ],
)  # fmt: skip
def test_no_claim_about_identity_passes(name: bytes) -> None:
    assert is_identity(name)
    assert to_upstream([(name, b"admin"), (b"accept", b"*/*")]) == [("accept", "*/*")]


def test_headers_for_one_hop_end_here() -> None:
    headers = [
        (b"connection", b"keep-alive, X-Secret"),
        (b"x-secret", b"1"),
        (b"te", b"trailers"),
        (b"range", b"bytes=0-"),
    ]
    assert to_upstream(headers) == [("range", "bytes=0-")]
    answer = [(b"Transfer-Encoding", b"chunked"), (b"Date", b"now"), (b"ETag", b'"1"'), (b"Set-Cookie", b"a=b")]
    assert to_client(answer) == [(b"etag", b'"1"')]


def test_pages_of_other_sites_may_not_write() -> None:
    assert is_foreign_write("POST", origin="https://evil.example", host_header="127.0.0.1:8000")
    assert is_foreign_write("POST", origin="null", host_header="127.0.0.1:8000")
    assert not is_foreign_write("POST", origin="http://127.0.0.1:8000", host_header="127.0.0.1:8000")
    assert not is_foreign_write("POST", origin=None, host_header="127.0.0.1:8000")
    assert not is_foreign_write("GET", origin="https://evil.example", host_header="127.0.0.1:8000")


def test_only_names_of_this_machine_are_its_own() -> None:
    assert not any(map(is_foreign_name, ["127.0.0.1:8000", "localhost", "[::1]:8000", "127.1.2.3"]))
    assert all(map(is_foreign_name, ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1", "localhost.evil:80"]))
    assert is_loopback("::1")


def test_gateway_listens_beyond_loopback_only_when_told() -> None:
    with pytest.raises(ValidationError, match="SLM_GATEWAY_ALLOW_REMOTE"):
        GatewaySettings(host="0.0.0.0")
    assert GatewaySettings(host="0.0.0.0", allow_remote=True).host == "0.0.0.0"
