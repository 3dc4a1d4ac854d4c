"""Letters: both forms say the same, carry exactly their one link, and take no orders from names and words."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

import pytest

from controlplane.services.letters.accounts import address_test, reset_password, set_password, staff_invitation
from controlplane.services.letters.letter import Letter, LetterPress, moment, quoted

LINK = "https://hub.test/set-password#" + "t0ken-" * 8
UNTIL = datetime(2026, 3, 15, 10, tzinfo=UTC)
HOSTILE = "<script>x</script>\r\nBcc: a@b\u202e https://evil.test www.evil.test"

LETTERS = {
    "invitation": staff_invitation(link=LINK, role="MANAGER", invited_by=HOSTILE, expires_at=UNTIL),
    "set password": set_password(link=LINK, name=HOSTILE, expires_at=UNTIL, timezone="Europe/Berlin"),
    "reset password": reset_password(link=LINK, name=HOSTILE, expires_at=UNTIL, timezone="no/where"),
    "address test": address_test(public_url="https://hub.test", asked_by=HOSTILE),
}

each_letter = pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)


@each_letter
def test_the_link_stands_whole_in_both_forms_and_in_no_subject(letter: Letter) -> None:
    press = LetterPress()
    for printed in (press.text(letter), press.html(letter)):
        assert set(re.findall(r"https?://[^\s\"<]+", printed)) <= {LINK, "https://hub.test"}
        assert (letter.link is None) or (LINK in printed)
    assert "t0ken" not in letter.subject
    assert press.html(letter) == press.html(letter)


@each_letter
def test_names_are_words_and_nothing_else(letter: Letter) -> None:
    press = LetterPress()
    page, plain = press.html(letter), press.text(letter)
    assert "<script" not in page
    assert "\u202e" not in page + plain
    assert "\nBcc" not in plain
    assert "<script>x</script> Bcc" in " ".join(plain.split())


@each_letter
def test_both_forms_say_the_same(letter: Letter) -> None:
    press = LetterPress()
    seen = html.unescape(re.sub(r"<[^>]+>", " ", press.html(letter).partition("<body")[2].partition(">")[2]))
    for said in (letter.title, *letter.paragraphs, *letter.small):
        assert " ".join(said.split()) in " ".join(seen.split())
        assert " ".join(said.split()) in " ".join(press.text(letter).split())


@each_letter
def test_a_letter_loads_nothing(letter: Letter) -> None:
    page = LetterPress().html(letter)
    assert not re.search(r"\b(src|background|@import|url\()", page.replace("background:", ""))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain words", "plain words"),
        ("a\r\nb\tc", "a b c"),
        ("\u202egnp\u2069\x1b[1m", "gnp [1m"),
        ("see https://evil.test", "see https[:]//evil.test"),
        ("WWW.evil.test", "www[.]evil.test"),
        ("x" * 500, "x" * 399 + "…"),
        ("x" * 100_000, "x" * 399 + "…"),
        (" " * 100_000, "…"),
        ("", ""),
    ],
)
def test_words_of_others(said: str, shown: str) -> None:
    assert quoted(said) == shown


def test_moments_are_told_in_the_readers_zone_and_in_utc_where_it_is_unknown() -> None:
    assert moment(UNTIL, "UTC") == "15 Mar 2026, 10:00 (UTC)"
    assert moment(UNTIL, "../etc/passwd") == "15 Mar 2026, 10:00 (UTC)"
    assert moment(UNTIL, "Mars/Base") == "15 Mar 2026, 10:00 (UTC)"
