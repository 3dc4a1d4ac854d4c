"""Objects in a folder: kept whole or not at all, for the Hub's user alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import trio

from controlplane.integrations.folder_storage import FolderStorage
from protocol.faults import Overloaded

NAME = "photos/0123456789abcdef.webp"


async def test_an_object_is_kept_read_replaced_and_forgotten(tmp_path: Path):
    storage = FolderStorage(tmp_path / "objects")
    assert await storage.get(NAME) is None
    await storage.delete(NAME)
    await storage.put(NAME, b"one")
    await storage.put(NAME, b"two")
    assert await storage.get(NAME) == b"two"
    file = tmp_path / "objects" / NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    await storage.delete(NAME)
    assert await storage.get(NAME) is None
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "x", "../x/abcdefgh.png", "photos/../../abcdefgh.png", "/etc/passwd", "photos/a b c d.png"]
)
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str):
    storage = FolderStorage(tmp_path)
    for work in (storage.get(name), storage.delete(name), storage.put(name, b"x")):
        with pytest.raises(ValueError, match="name of an object"):
            await work


async def test_a_storage_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path):
    (tmp_path / "objects").write_bytes(b"a file where the folder should be")
    storage = FolderStorage(tmp_path / "objects")
    with pytest.raises(Overloaded):
        await storage.put(NAME, b"x")
    assert [path.name for path in await trio.Path(tmp_path).iterdir()] == ["objects"]


async def test_readers_see_an_old_object_or_a_new_one_never_half(tmp_path: Path):
    storage = FolderStorage(tmp_path)
    whole = [bytes([number]) * 200_000 for number in range(8)]
    await storage.put(NAME, whole[0])
    seen: set[bytes] = set()

    async def read() -> None:
        for _ in range(40):
            found = await storage.get(NAME)
            assert found is not None
            seen.add(found)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for data in whole:
            nursery.start_soon(storage.put, NAME, data)
    assert seen <= set(whole)
