"""Write the sample data set: plain-language commands and the JSON an assistant should turn them into.

    python scripts/make_sample_data.py --out shared/slm_client/samples

Seeded, so that the same files come out everywhere. No prompt of the evaluation set occurs in the training set.
"""

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEED = 11
TRAINING_ROWS = 2400
EVALUATION_ROWS = 200

ROOMS = ("kitchen", "bedroom", "hall", "office", "garage", "bathroom", "living room", "attic")
PEOPLE = ("Anna", "Ben", "Clara", "David", "Emma", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kim", "Lena")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CITIES = ("Berlin", "Paris", "Rome", "Oslo", "Madrid", "Vienna", "London", "Lisbon")
ITEMS = ("milk", "bread", "eggs", "coffee", "rice", "apples", "butter", "soap", "tea", "paper")
COLOURS = ("red", "green", "blue", "white", "yellow", "purple")
TOPICS = ("the budget", "the release", "the new office", "holidays", "the contract", "the survey")
SONGS = ("jazz", "rock", "piano music", "the news", "techno", "opera")

Command = tuple[str, dict[str, Any]]


def _clock(rng: random.Random) -> tuple[str, str]:
    """A time as people say it and as 24-hour text."""
    hour, minute = rng.randrange(1, 13), rng.choice((0, 15, 30, 45))
    afternoon = rng.random() < 0.5
    hour_24 = hour % 12 + (12 if afternoon else 0)
    spoken = f"{hour}:{minute:02d} {'pm' if afternoon else 'am'}" if minute else f"{hour} {'pm' if afternoon else 'am'}"
    return spoken, f"{hour_24:02d}:{minute:02d}"


def _alarm(rng: random.Random) -> Command:
    spoken, time = _clock(rng)
    day = rng.choice(DAYS)
    phrase = rng.choice(("wake me at {t} on {d}", "set an alarm for {t} on {d}", "alarm on {d} at {t}"))
    return phrase.format(t=spoken, d=day), {"action": "set_alarm", "day": day, "time": time}


def _light(rng: random.Random) -> Command:
    room, state = rng.choice(ROOMS), rng.choice(("on", "off"))
    phrase = rng.choice(("turn {s} the light in the {r}", "switch the {r} light {s}", "{r} lights {s}"))
    return phrase.format(s=state, r=room), {"action": "light", "room": room, "state": state}


def _colour(rng: random.Random) -> Command:
    room, colour = rng.choice(ROOMS), rng.choice(COLOURS)
    phrase = rng.choice(("make the {r} light {c}", "set the {r} lamp to {c}", "I want {c} light in the {r}"))
    return phrase.format(r=room, c=colour), {"action": "light_colour", "room": room, "colour": colour}


def _heating(rng: random.Random) -> Command:
    room, degrees = rng.choice(ROOMS), rng.randrange(16, 26)
    phrase = rng.choice(("heat the {r} to {n} degrees", "set the {r} to {n} degrees", "{n} degrees in the {r}"))
    return phrase.format(r=room, n=degrees), {"action": "heating", "room": room, "degrees": degrees}


def _meeting(rng: random.Random) -> Command:
    person, day = rng.choice(PEOPLE), rng.choice(DAYS)
    spoken, time = _clock(rng)
    phrase = rng.choice(
        ("meet {p} on {d} at {t}", "book a meeting with {p} for {d} {t}", "{d} at {t} meeting with {p}")
    )
    answer = {"action": "meeting", "with": person, "day": day, "time": time}
    return phrase.format(p=person, d=day, t=spoken), answer


def _message(rng: random.Random) -> Command:
    person, topic = rng.choice(PEOPLE), rng.choice(TOPICS)
    phrase = rng.choice(("write {p} about {o}", "send {p} a message about {o}", "tell {p} about {o}"))
    return phrase.format(p=person, o=topic), {"action": "message", "to": person, "about": topic}


def _call(rng: random.Random) -> Command:
    person, minutes = rng.choice(PEOPLE), rng.choice((5, 10, 15, 20, 30, 45))
    phrase = rng.choice(("call {p} in {n} minutes", "in {n} minutes ring {p}", "phone {p} {n} minutes from now"))
    return phrase.format(p=person, n=minutes), {"action": "call", "to": person, "in_minutes": minutes}


def _timer(rng: random.Random) -> Command:
    minutes = rng.randrange(1, 60)
    phrase = rng.choice(("set a timer for {n} minutes", "{n} minute timer", "count down {n} minutes"))
    return phrase.format(n=minutes), {"action": "timer", "minutes": minutes}


def _shopping(rng: random.Random) -> Command:
    item, count = rng.choice(ITEMS), rng.randrange(1, 13)
    phrase = rng.choice(("put {n} {i} on the list", "we need {n} {i}", "buy {n} {i}"))
    return phrase.format(i=item, n=count), {"action": "shopping", "item": item, "count": count}


def _weather(rng: random.Random) -> Command:
    city, day = rng.choice(CITIES), rng.choice(DAYS)
    phrase = rng.choice(("weather in {c} on {d}", "how will {d} be in {c}", "will it rain in {c} on {d}"))
    return phrase.format(c=city, d=day), {"action": "weather", "city": city, "day": day}


def _train(rng: random.Random) -> Command:
    start, end = rng.sample(CITIES, 2)
    day = rng.choice(DAYS)
    phrase = rng.choice(("train from {a} to {b} on {d}", "I go from {a} to {b} on {d}", "{d}: ticket {a} to {b}"))
    return phrase.format(a=start, b=end, d=day), {"action": "train", "from": start, "to": end, "day": day}


def _music(rng: random.Random) -> Command:
    song, room, volume = rng.choice(SONGS), rng.choice(ROOMS), rng.randrange(1, 11)
    phrase = rng.choice(("play {s} in the {r} at volume {v}", "{s} in the {r}, volume {v}", "volume {v}, {s}, {r}"))
    answer = {"action": "music", "what": song, "room": room, "volume": volume}
    return phrase.format(s=song, r=room, v=volume), answer


COMMANDS: tuple[Callable[[random.Random], Command], ...] = (
    _alarm,
    _light,
    _colour,
    _heating,
    _meeting,
    _message,
    _call,
    _timer,
    _shopping,
    _weather,
    _train,
    _music,
)
POLITENESS = ("{}", "{}", "{}", "please {}", "{} please", "hey, {}", "could you {}")


def make_rows(count: int, seed: int) -> list[dict[str, str]]:
    """`count` rows with distinct prompts: `prompt` is the command, `completion` compact JSON."""
    rng = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < count:
        prompt, answer = rng.choice(COMMANDS)(rng)
        rows.setdefault(rng.choice(POLITENESS).format(prompt), json.dumps(answer, separators=(",", ":")))
    return [{"prompt": prompt, "completion": completion} for prompt, completion in rows.items()]


def make_sample_data(folder: Path) -> None:
    """Write `commands_train.jsonl` and `commands_eval.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = make_rows(TRAINING_ROWS + EVALUATION_ROWS, SEED)
    for name, part in (("train", rows[:TRAINING_ROWS]), ("eval", rows[TRAINING_ROWS:])):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        (folder / f"commands_{name}.jsonl").write_text(lines, encoding="utf-8")


def main() -> None:
    """Read the folder from the command line and fill it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("shared/slm_client/samples"))
    make_sample_data(parser.parse_args().out)


if __name__ == "__main__":
    main()
