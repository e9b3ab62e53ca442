"""What a user sees when something goes wrong."""

import pytest

from slm_client.cli.failures import FailedJobError, exit_code_of, tell
from slm_client.cli.terminal import duration, printable, size
from slm_client.errors import FieldError, SlmError, UnreachableError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FailedJobError("training failed"), 1),
        (SlmError("wrong", status=422), 2),
        (SlmError("not text", status=415), 2),
        (SlmError("no such run", status=404), 3),
        (SlmError("not processed", status=409), 3),
        (SlmError("away", status=503), 4),
        (UnreachableError("http://127.0.0.1:1"), 4),
        (SlmError("broken", status=500), 1),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 2),
        (KeyError("bug"), 1),
    ],
)
def test_exit_code_tells_the_kind_of_error(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_every_wrong_field_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = (FieldError("epochs", "must be at most 100"), FieldError("batch_size", "must be at least 1"))
    tell(SlmError("The request is not valid.", status=422, errors=wrong))
    expected = "Error: The request is not valid: epochs must be at most 100; batch_size must be at least 1\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("code", "shown"),
    [("list_models", "`slm models list` shows which there are."), ("of_a_newer_platform", "Do so."), (None, "Do so.")],
)
def test_a_hint_with_a_known_code_is_told_in_commands(
    capsys: pytest.CaptureFixture[str], code: str | None, shown: str
) -> None:
    tell(SlmError("no such model", status=404, hint="Do so.", hint_code=code))
    assert capsys.readouterr().err == f"Error: no such model\nHint: {shown}\n"


def test_text_of_others_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    tell(SlmError("name \x1b[2J\x07 [red]x[/red]", status=422))
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown
    assert printable("a\x00b") == "a\N{REPLACEMENT CHARACTER}b"


def test_an_unknown_error_shows_no_insides(capsys: pytest.CaptureFixture[str]) -> None:
    tell(KeyError("secret"))
    assert "secret" not in capsys.readouterr().err


def test_numbers_for_people() -> None:
    assert [size(0), size(1023), size(1536), size(5 * 1024**3)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
    assert [duration(5.4), duration(75), duration(3675)] == ["0:05", "1:15", "1:01:15"]
