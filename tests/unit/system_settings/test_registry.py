"""The settings' declarations: complete, with defaults that fit, and none that nobody reads."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from controlplane.secret import Secret
from controlplane.system_settings.own import Email, Hub
from controlplane.system_settings.registry import CATEGORIES, SETTINGS, Kind, Setting

CODE = Path(__file__).parents[3] / "controlplane"
OUTSIDE = {"Docker", "Docker Hub", "Gitea", "Netcup", "S3", "SSH", "DNS", "Cloudflare", "Stripe", "Portainer"}

each_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)


def test_there_are_nine_categories_and_more_than_fifty_settings():
    assert len(CATEGORIES) == 9
    assert len(SETTINGS) > 50
    assert {setting.category for setting in SETTINGS.values()} == set(CATEGORIES)


@each_setting
def test_a_setting_has_words_and_a_default_that_fits(setting: Setting):
    assert setting.description.endswith(".")
    assert len(setting.description) > 8
    if setting.kind is Kind.SECRET:
        assert setting.default is None
    elif setting.default is not None:
        assert msgspec.convert(msgspec.to_builtins(setting.default), setting.wanted) == setting.default


def test_each_setting_is_read_by_the_hub_or_says_who_will():
    sources = [path for path in CODE.rglob("*.py") if not path.is_relative_to(CODE / "system_settings")]
    read = {
        node.attr
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    unread = [one.name for one in SETTINGS.values() if one.awaits is None and one.field not in read]
    assert unread == [], "a setting without effect is a lie"
    assert {one.awaits for one in SETTINGS.values()} - {None} == OUTSIDE


def test_secrets_print_as_nothing():
    assert "canary" not in repr(Email(smtp_password=Secret("canary")))


def test_choices_and_lists_are_told():
    assert SETTINGS["email.smtpSecurity"].choices == ("starttls", "tls")
    assert SETTINGS["hub.toolsLite"].choices == ()
    assert Hub().tools_lite == SETTINGS["hub.toolsLite"].default
