"""Photos: judged by what they hold, drawn anew, kept under names nobody can guess."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from actors.runtime.ports import SystemRandomness
from controlplane.services.photos import LONGEST_UPLOAD_BYTES, SIDE_PIXELS, PhotoService
from protocol.faults import NotFound, Overloaded, PayloadTooLarge, ValidationError
from tests.people import MemoryStorage


def picture(kind: str, size: tuple[int, int] = (64, 32), mode: str = "RGB", **options) -> bytes:
    drawn = io.BytesIO()
    Image.new(mode, size, "red" if mode != "L" else 128).save(drawn, kind, **options)
    return drawn.getvalue()


class Away(MemoryStorage):
    """A storage that cannot be reached."""

    async def delete(self, name: str) -> None:
        raise Overloaded("away")


@pytest.fixture
def photos() -> PhotoService:
    return PhotoService(MemoryStorage(), randomness=SystemRandomness())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_picture_is_kept_as_webp(photos: PhotoService, kind: str):
    name = await photos.keep(picture(kind))
    shown = await photos.show(name)
    with Image.open(io.BytesIO(shown), formats=["WEBP"]) as drawn:
        assert drawn.size == (64, 32)
    assert name != await photos.keep(picture(kind))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK"])
async def test_every_kind_of_colour_is_taken(photos: PhotoService, mode: str):
    drawn = io.BytesIO()
    Image.new(mode, (8, 8)).save(drawn, "JPEG" if mode == "CMYK" else "PNG")
    assert await photos.show(await photos.keep(drawn.getvalue()))


async def test_a_large_picture_is_made_small_and_keeps_its_shape(photos: PhotoService):
    shown = await photos.show(await photos.keep(picture("JPEG", (2000, 1000))))
    with Image.open(io.BytesIO(shown)) as drawn:
        assert drawn.size == (SIDE_PIXELS, SIDE_PIXELS // 2)


async def test_a_photo_taken_sideways_stands_upright_and_says_nothing_more(photos: PhotoService):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    exif[0x010E] = "where I live"
    shown = await photos.show(await photos.keep(picture("JPEG", (40, 20), exif=exif)))
    with Image.open(io.BytesIO(shown)) as drawn:
        assert drawn.size == (20, 40)
        assert not drawn.getexif()
    assert b"where I live" not in shown


async def test_nothing_behind_the_picture_is_kept(photos: PhotoService):
    for kind in ("JPEG", "PNG", "WEBP"):
        shown = await photos.show(await photos.keep(picture(kind) + b"<script>alert(1)</script>PK\3\4"))
        assert b"script" not in shown


@pytest.mark.parametrize(
    "upload",
    [
        b"",
        b"nonsense",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        picture("GIF", mode="P"),
        picture("BMP"),
        picture("TIFF"),
        picture("PNG")[:60],
        picture("JPEG", (300, 300))[:400],
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        b"RIFF\x10\0\0\0WEBPVP8 " + b"\xff" * 40,
        b"\xff\xd8\xff\xe0" + b"\xff" * 200,
    ],
    ids=lambda upload: repr(upload[:12]),
)
async def test_what_is_no_sound_picture_is_refused(photos: PhotoService, upload: bytes):
    with pytest.raises(ValidationError) as refused:
        await photos.keep(upload)
    assert [problem.field for problem in refused.value.details] == ["photo"]


@pytest.mark.parametrize("side", [5_000, 10_000, 14_000])
async def test_a_small_file_that_holds_an_enormous_picture_is_not_unpacked(photos: PhotoService, side: int):
    bomb = picture("PNG", (side, side), "1")
    assert len(bomb) < LONGEST_UPLOAD_BYTES
    with pytest.raises(ValidationError, match="pixels"):
        await photos.keep(bomb)


async def test_more_than_a_mebibyte_is_too_much(photos: PhotoService):
    with pytest.raises(PayloadTooLarge):
        await photos.keep(picture("PNG") + b"\0" * LONGEST_UPLOAD_BYTES)


@pytest.mark.parametrize("name", ["", "x", "../../etc/passwd", "0" * 32, "g" * 32, "0" * 31, "0" * 33, "٠" * 32])
async def test_what_is_no_name_shows_nothing(photos: PhotoService, name: str):
    with pytest.raises(NotFound):
        await photos.show(name)


async def test_a_photo_is_forgotten_even_if_the_storage_is_away():
    storage = Away()
    photos = PhotoService(storage, randomness=SystemRandomness())
    name = await photos.keep(picture("PNG"))
    await photos.forget(name)
    assert await photos.show(name)
