"""Every setting of the database in one list, read off the categories' Structs: name, type, bounds, default, words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import Meta

from controlplane.secret import Secret
from controlplane.system_settings.category import Category
from controlplane.system_settings.outside import Docker, Dockerhub, Gitea, Netcup, Provisioning, Storage
from controlplane.system_settings.own import Email, Hub, Notifications

#: The categories (specification section 4.12), in the order in which they are shown.
CATEGORIES: Final[Mapping[str, type[Category]]] = {
    "hub": Hub,
    "provisioning": Provisioning,
    "docker": Docker,
    "dockerhub": Dockerhub,
    "gitea": Gitea,
    "netcup": Netcup,
    "email": Email,
    "notifications": Notifications,
    "storage": Storage,
}
#: What a secret may be: printable, since it travels in headers and sign-ins; a private key has lines.
SECRET_TEXT: Final = Meta(min_length=1, max_length=16_384, pattern=r"^[\t\n\r -~]+$")


class Kind(StrEnum):
    """What sort of value a setting has."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    CHOICE = "choice"
    LIST = "list"
    SECRET = "secret"  # noqa: S105 - a kind, not one


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Args:
        name: `category.key`, as outside.
        field: the name of its field in the category's Struct.
        wanted: the type of its value with its bounds; of a secret, of its text.
        default: what counts while nobody has chosen; None: nothing does.
        awaits: the outside system that reads it and is not connected yet; None: the Hub reads it.
    """

    name: str
    category: str
    field: str
    kind: Kind
    wanted: Any
    default: Any
    description: str
    awaits: str | None
    meta: Meta

    @property
    def choices(self) -> tuple[str, ...]:
        """What a choice may be."""
        bare = get_args(self.wanted)[0]
        return tuple(str(one.value) for one in bare) if self.kind is Kind.CHOICE else ()


def _settings() -> dict[str, Setting]:
    found = {}
    for category, struct in CATEGORIES.items():
        for field in msgspec.structs.fields(struct):
            setting = _setting(category, struct, field)
            found[setting.name] = setting
    return found


def _setting(category: str, struct: type[Category], field: msgspec.structs.FieldInfo) -> Setting:
    wanted = field.type
    if get_origin(wanted) in (Union, UnionType):
        [wanted] = [one for one in get_args(wanted) if one is not type(None)]
    bare, meta = get_args(wanted)[0], get_args(wanted)[-1]
    kind = _kind_of(bare)
    extra = meta.extra or {}
    return Setting(
        name=f"{category}.{field.encode_name}",
        category=category,
        field=field.name,
        kind=kind,
        wanted=Annotated[str, SECRET_TEXT] if kind is Kind.SECRET else wanted,
        default=field.default,
        description=meta.description,
        awaits=extra.get("awaits", struct.AWAITS),
        meta=meta,
    )


def _kind_of(bare: Any) -> Kind:
    if get_origin(bare) is tuple:
        return Kind.LIST
    if issubclass(bare, Enum):
        return Kind.CHOICE
    return {bool: Kind.BOOLEAN, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT, Secret: Kind.SECRET}[bare]


#: Every setting by its name, in the order in which they are shown.
SETTINGS: Final[Mapping[str, Setting]] = _settings()
