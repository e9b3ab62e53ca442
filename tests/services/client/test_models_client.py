"""What the client says about models, as HTTP."""

import json

import pytest

from slm_client import SlmError
from tests.support.clients import Ask
from tests.support.fake_platform import FakePlatform

MODEL = {"id": "4", "name": "commands-v1", "revision": 3, "tags": ["pilot"], "aliases": ["champion"]}


async def test_an_edit_names_the_revision_and_only_what_changes(platform: FakePlatform, ask: Ask) -> None:
    platform.will_answer(MODEL, MODEL, {"items": [MODEL]})
    await ask(lambda client: client.models.edit("commands-v1", revision=2, description=None))
    await ask(lambda client: client.models.edit("commands-v1", tags=["a"]))
    await ask(lambda client: client.models.list(base_model="nano", latest=True, sort="-eval_loss"))
    bodies = [json.loads(body) for _, _, _, body in platform.asked[:2]]
    assert bodies == [{"description": None}, {"tags": ["a"]}]
    assert platform.headers("if-match")[:2] == ['"2"', "*"]
    assert platform.asked[2][1] == "/api/models?base_model=nano&latest=true&sort=-eval_loss"


async def test_models_are_compared_named_and_deleted(platform: FakePlatform, ask: Ask) -> None:
    comparison = {"models": [MODEL], "facts": [{"name": "kind", "values": ["base", "base"], "same": True}]}
    aliases = {"family": "commands", "aliases": [{"name": "staging", "model": "commands-v1"}], "history": []}
    platform.will_answer(comparison, aliases, {}, {})
    found = await ask(lambda client: client.models.compare("a", "b"))
    moved = await ask(lambda client: client.models.point_alias("commands-v1", "staging"))
    await ask(lambda client: client.models.remove_alias("commands-v1", "staging"))
    await ask(lambda client: client.models.delete("commands-v1"))
    assert (found.facts[0].same, moved.aliases[0].model) == (True, "commands-v1")
    assert [(method, path) for method, path, _, _ in platform.asked] == [
        ("GET", "/api/models:compare?model=a&model=b"),
        ("PUT", "/api/models/commands-v1/aliases/staging"),
        ("DELETE", "/api/models/commands-v1/aliases/staging"),
        ("DELETE", "/api/models/commands-v1"),
    ]


async def test_a_refused_deletion_says_why(platform: FakePlatform, ask: Ask) -> None:
    platform.will_refuse(409, "model_in_use", detail="The model is the base of x-v1.")
    with pytest.raises(SlmError, match=r"base of x-v1"):
        await ask(lambda client: client.models.delete("nano"))
