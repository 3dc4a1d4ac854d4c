"""What scripted agents want, as data: a scenario is a company's line of business, a JSON file of wishes by agent."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

_FOLDER: Final = files("wrapper") / "scenarios"
_COMMON: Final = "common"
_ENDING: Final = ".json"
#: Played where nothing else is said.
DEFAULT: Final = "agency"


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One thing that an agent may want.

    Attributes:
        says: what a person reads, with the impact as trailing parenthesis.
        impact: what it touches: "47 files, 2.3 GB".
        done: what came of it.
        fails: why it fails, for one that does even when it is allowed.
        expires_in_seconds: for what is pointless later.
    """

    tool: Annotated[str, Meta(min_length=1, max_length=200)]
    says: Annotated[str, Meta(min_length=1, max_length=2000)]
    args: dict[str, Any] = {}
    impact: str | None = None
    done: str = "done"
    fails: str | None = None
    expires_in_seconds: Annotated[int, Meta(ge=1, le=30 * 86_400)] = 86_400


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the agents of one company want.

    Attributes:
        opening: the agents who ask for the first of their wishes as soon as they start.
        agents: agent → what it asks for, in turn.
    """

    about: str
    agents: dict[str, Annotated[list[Wish], Meta(min_length=1)]]
    opening: list[str] = []


class BadScenario(ValueError):
    """There is no such scenario, or its file is wrong; the words say what is."""


def names() -> list[str]:
    """The scenarios that come with the wrapper."""
    found = (entry.name for entry in _FOLDER.iterdir())
    return sorted(name.removesuffix(_ENDING) for name in found if name.endswith(_ENDING) and name != _COMMON + _ENDING)


def scenario(name: str) -> Scenario:
    """A scenario that comes with the wrapper, or one in a file of yours.

    Args:
        name: one of `names()`, whose agents want what is common to all companies too; or a path ending in `.json`,
            whose agents want exactly what it says.

    Raises:
        BadScenario: there is none, or it cannot be read.
    """
    if name.endswith(_ENDING):
        return _read(name, Path(name))
    if name not in names():
        raise BadScenario(f"there is no scenario {name!r}: take one of {', '.join(names())}, or a file ending in .json")
    common, own = (_read(one, Path(str(_FOLDER / f"{one}{_ENDING}"))) for one in (_COMMON, name))
    agents = {agent: own.agents.get(agent, []) + common.agents.get(agent, []) for agent in common.agents | own.agents}
    return Scenario(about=own.about, agents=agents, opening=own.opening)


def _read(name: str, path: Path) -> Scenario:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise BadScenario(f"scenario {name} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadScenario(f"scenario {name} cannot be read: {error}") from error
