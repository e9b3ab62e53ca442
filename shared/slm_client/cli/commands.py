"""Commands that ask the platform for one thing and print the answer, for people or as JSON."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import typer

from slm_client.cli.options import Gateway, Json
from slm_client.cli.terminal import print_json
from slm_client.synchronous import SlmClient

Ask = TypeVar("Ask", bound=Callable[..., Any])

_OPTIONS = [
    inspect.Parameter("gateway", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Gateway),
    inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json),
]


class Commands(typer.Typer):
    """A group of commands."""

    def answering(self, show: Callable[[Any], object], name: str | None = None) -> Callable[[Ask], Ask]:
        """A decorator that makes a command of `def function(client, ...) -> answer`.

        The command has the parameters after `client`, `--gateway` and `--json`; it prints the answer with `show`, or as
        JSON.
        """

        def add(ask: Ask) -> Ask:
            @wraps(ask)
            def run(*, gateway: str | None, json: bool, **given: Any) -> None:
                with SlmClient(gateway) as client:
                    answer = ask(client, **given)
                print_json(answer) if json else show(answer)

            _, *parameters = inspect.signature(ask).parameters.values()
            named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
            run.__signature__ = inspect.Signature([*named, *_OPTIONS])  # type: ignore[attr-defined]  # what Typer reads
            self.command(name)(run)
            return ask

        return add
