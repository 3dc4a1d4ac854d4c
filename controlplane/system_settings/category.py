"""What a category of settings is: a Struct whose fields are typed, bounded, described and have defaults."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

#: A host name or address, without scheme and port.
HOST: Final = r"^[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?$(?!\n)"
URL: Final = r"^https?://[A-Za-z0-9.:\[\]_-]{1,253}(/[^\s\"<>]{0,1000})?$(?!\n)"
EMAIL_ADDRESS: Final = r"^[A-Za-z0-9._%+=-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$(?!\n)"
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$(?!\n)"


class Category(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of the categories.

    A field says its type with bounds, its default, and in `Meta` its description; `extra={"awaits": …}` names the
    outside system that reads it and is not connected yet. A field of type `Secret` is sealed and never shown.

    Attributes:
        AWAITS: the outside system that reads the whole category and is not connected yet.
    """

    AWAITS: ClassVar[str | None] = None
