"""Photos of people: judged by what they hold, drawn anew so that nothing else of the upload is left, and kept."""

from __future__ import annotations

import io
import re
from typing import Final

import structlog
import trio
from PIL import Image, ImageOps, UnidentifiedImageError

from actors.runtime.ports import Randomness
from controlplane.services.storage import ObjectStorage
from protocol.faults import NotFound, Overloaded, PayloadTooLarge, ValidationError

log = structlog.get_logger()

LONGEST_UPLOAD_BYTES: Final = 1024 * 1024
#: Beyond this a picture is not unpacked: a small file can hold an enormous one.
MOST_PIXELS: Final = 24_000_000
#: What is kept: as wide and as high, at most.
SIDE_PIXELS: Final = 512
#: The media type of every photo that is kept.
MEDIA_TYPE: Final = "image/webp"
#: What is taken; Pillow tries no other reader.
_TAKEN: Final = ("JPEG", "PNG", "WEBP")
_NAME: Final = re.compile(r"[0-9a-f]{32}")
#: Pictures unpacked at a time, each up to 100 MB in memory; and how many may wait for that.
_AT_ONCE: Final = 1
_MOST_WAITING: Final = 20


class PhotoService:
    """Takes, keeps and shows photos."""

    def __init__(self, storage: ObjectStorage, *, randomness: Randomness) -> None:
        self._storage = storage
        self._randomness = randomness
        self._limiter = trio.CapacityLimiter(_AT_ONCE)

    async def keep(self, upload: bytes) -> str:
        """Keep a photo under a fresh name that nobody can guess; returns it.

        Raises:
            PayloadTooLarge: more than `LONGEST_UPLOAD_BYTES`.
            ValidationError: it is no picture of a kind that is taken, is broken, or has too many pixels.
            Overloaded: too many photos at once, or the storage is away.
        """
        if len(upload) > LONGEST_UPLOAD_BYTES:
            raise PayloadTooLarge(f"a photo has at most {LONGEST_UPLOAD_BYTES} bytes")
        if self._limiter.statistics().tasks_waiting >= _MOST_WAITING:
            raise Overloaded("too many photos at once; nothing was changed", retry_after_seconds=5)
        drawn = await trio.to_thread.run_sync(_drawn_anew, upload, limiter=self._limiter)
        name = self._randomness.token(16).hex()
        await self._storage.put(_object(name), drawn)
        return name

    async def show(self, name: str) -> bytes:
        """A photo, of `MEDIA_TYPE`.

        Raises:
            NotFound: there is none of this name.
            Overloaded: the storage is away.
        """
        found = await self._storage.get(_object(name)) if _NAME.fullmatch(name) else None
        if found is None:
            raise NotFound("there is no such photo")
        return found

    async def forget(self, name: str) -> None:
        """Forget a photo nobody shows any more; if the storage is away, it stays behind and harms nobody."""
        try:
            await self._storage.delete(_object(name))
        except Overloaded as fault:
            log.warning("photo.left_behind", photo=name, reason=fault.message)


def _object(name: str) -> str:
    return f"photos/{name}.webp"


def _drawn_anew(upload: bytes) -> bytes:
    """The picture alone, upright and of bounded size: no metadata, no second file behind the first."""
    try:
        with Image.open(io.BytesIO(upload), formats=_TAKEN) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise _too_many_pixels()
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((SIDE_PIXELS, SIDE_PIXELS))
            plain = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except UnidentifiedImageError:
        raise ValidationError.of("photo", "must be a JPEG, PNG or WebP picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except (OSError, ValueError, SyntaxError, EOFError):
        raise ValidationError.of("photo", "is broken") from None
    drawn = io.BytesIO()
    plain.save(drawn, "WEBP", quality=85, method=4)
    return drawn.getvalue()


def _too_many_pixels() -> ValidationError:
    return ValidationError.of("photo", f"must have at most {MOST_PIXELS:,} pixels")
