"""The state folder, the keyring and the Hub's address: private, whole, and refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from wrapper.hub_address import BadAddress, HubAddress
from wrapper.keyring import Keyring, Secret
from wrapper.registration import instance_id
from wrapper.state_folder import StateFolder, StateFolderBusy, StateFolderUnusable

KEY, TOKEN = Secret("hk_abc_secret"), Secret("rt_token")


def test_the_folder_is_private_and_belongs_to_one(tmp_path: Path):
    path = tmp_path / "a" / "state"
    with StateFolder.lock(path):
        assert path.stat().st_mode & 0o777 == 0o700
        with pytest.raises(StateFolderBusy, match="another Safety Wrapper"), StateFolder.lock(path):
            pass
    with StateFolder.lock(path) as again:
        again.write("note", b"x")
        assert (path / "note").stat().st_mode & 0o777 == 0o600
        assert again.read("note") == b"x"
        assert again.read("nothing") is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateFolderUnusable, match="cannot be used"), StateFolder.lock(tmp_path / "file" / "state"):
        pass


def test_the_key_is_sealed_and_comes_back(tmp_path: Path):
    with StateFolder.lock(tmp_path / "state") as folder:
        keyring = Keyring(folder)
        assert keyring.hub_key is None
        assert not keyring.spent(TOKEN)
        keyring.keep(KEY, token=TOKEN)
        again = Keyring(folder)
        assert again.hub_key is not None
        assert again.hub_key.reveal() == KEY.reveal()
        assert again.spent(TOKEN)
        assert not again.spent(Secret("rt_newer"))
        for file in folder.path.iterdir():
            assert file.stat().st_mode & 0o077 == 0
            assert b"hk_abc" not in file.read_bytes()
            assert b"rt_token" not in file.read_bytes()


def test_a_master_key_from_outside_is_not_written_down(tmp_path: Path):
    master = Secret(Fernet.generate_key().decode())
    with StateFolder.lock(tmp_path / "state") as folder:
        Keyring(folder, master).keep(KEY, token=TOKEN)
        assert all(master.reveal().encode() not in file.read_bytes() for file in folder.path.iterdir())
        with pytest.raises(StateFolderUnusable, match="not sealed with this master key"):
            Keyring(folder, Secret(Fernet.generate_key().decode()))
        with pytest.raises(StateFolderUnusable, match="not a Fernet key"):
            Keyring(folder, Secret("too short"))


def test_the_instance_keeps_its_id(tmp_path: Path):
    with StateFolder.lock(tmp_path / "state") as folder:
        assert instance_id(folder, "first") == "first"
        assert instance_id(folder, "second") == "first"


def test_secrets_do_not_print():
    assert f"{KEY} {KEY!r} {[KEY]}" == "••• ••• [•••]"


@pytest.mark.parametrize(
    ("url", "base", "socket"),
    [
        ("https://hub.letsbe.biz", "https://hub.letsbe.biz", "wss://hub.letsbe.biz/api/v1/tenant/socket"),
        ("https://h.example:8443/a/", "https://h.example:8443/a", "wss://h.example:8443/a/api/v1/tenant/socket"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "ws://127.0.0.1:8000/api/v1/tenant/socket"),
        ("http://[::1]:8000", "http://[::1]:8000", "ws://[::1]:8000/api/v1/tenant/socket"),
        ("http://localhost", "http://localhost", "ws://localhost/api/v1/tenant/socket"),
    ],
)
def test_addresses(url: str, base: str, socket: str):
    address = HubAddress(url)
    assert (address.url, address.socket_url) == (base, socket)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hub.letsbe.biz", "unencrypted"),
        ("http://10.0.0.1", "unencrypted"),
        ("http://127.0.0.1.evil.example", "unencrypted"),
        ("ws://hub.letsbe.biz", "must be https"),
        ("hub.letsbe.biz", "must be https"),
        ("https://", "must be https"),
        ("https://u:p@hub.letsbe.biz", "must not hold"),
        ("https://hub.letsbe.biz?key=hk_1", "must not hold"),
        ("https://hub.letsbe.biz:port", "bad port"),
    ],
)
def test_bad_addresses_are_refused_with_a_sentence(url: str, words: str):
    with pytest.raises(BadAddress, match=words):
        HubAddress(url)


def test_plain_http_to_another_machine_has_to_be_allowed():
    assert HubAddress("http://10.0.0.1", allow_plain=True).socket_url.startswith("ws://10.0.0.1/")
