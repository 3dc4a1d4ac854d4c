"""What of a change the audit log shows."""

from __future__ import annotations

import pytest

from controlplane.store.audit import REDACTED, difference, redacted
from controlplane.store.staff import NewStaff


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "passwordHash",
        "password_hash",
        "newPassword",
        "hubApiKey",
        "apiKey",
        "API_KEY",
        "token",
        "registrationToken",
        "pendingToken",
        "tokenHash",
        "keyHash",
        "totpSecret",
        "backupCodes",
        "clientSecret",
        "portainerCredentials",
        "authorization",
    ],
)
def test_secret_fields_are_hidden_at_any_depth(name):
    value = {"outer": [{name: "s3cr3t", "name": "seen"}]}
    assert redacted(value) == {"outer": [{name: REDACTED, "name": "seen"}]}


@pytest.mark.parametrize(
    "name", ["tokenLimit", "tokensUsed", "tokenMultiplier", "keyPrefix", "configHash", "argsHash", "keyboard", "name"]
)
def test_what_only_sounds_secret_is_shown(name):
    assert redacted({name: "seen"}) == {name: "seen"}


def test_an_absent_secret_is_shown_as_absent():
    assert redacted({"password": None}) == {"password": None}


def test_only_the_difference_is_written():
    before = NewStaff("a@b.c", "Old", "hash")
    assert difference(before, NewStaff("a@b.c", "New", "hash")) == ({"name": "Old"}, {"name": "New"})
