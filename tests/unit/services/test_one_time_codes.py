"""One-time codes against the RFC's own vectors, backup codes as people type them, and a QR code that can be read."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from actors.runtime.ports import SeededRandomness
from controlplane.secret import Secret
from controlplane.services import one_time_codes as codes

#: RFC 6238 appendix B: the secret of the SHA-1 vectors, and six of their eight digits.
VECTOR_SECRET = Secret(base64.b32encode(b"12345678901234567890").decode())
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
]


def at(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


@pytest.mark.parametrize(("unix", "code"), VECTORS)
def test_the_vectors_of_the_rfc(unix: int, code: str):
    assert codes.matching_step(VECTOR_SECRET, code, at(unix)) == unix // 30


@pytest.mark.parametrize(("unix", "code"), VECTORS[1:])  # before the first one lies 1969
def test_a_clock_may_be_off_by_one_step_and_no_more(unix: int, code: str):
    for off in (-30, 30):
        assert codes.matching_step(VECTOR_SECRET, code, at(unix + off)) == unix // 30
    for off in (-60, 60):
        assert codes.matching_step(VECTOR_SECRET, code, at(unix + off)) is None


@pytest.mark.parametrize("code", ["", "28708", "2870820", "287O82", "٢٨٧٠٨٢", "287082\n", " 287082", "-87082"])
def test_what_is_no_code_matches_nothing(code: str):
    assert codes.matching_step(VECTOR_SECRET, code, at(59)) is None


def test_the_uri_says_whose_secret_it_is():
    secret = codes.new_secret(SeededRandomness(1))
    assert len(base64.b32decode(secret.reveal())) == codes.SECRET_BYTES
    uri = urlsplit(codes.otpauth_uri(secret, account="maria+x@acme.com", issuer="LetsBe Hub"))
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/LetsBe Hub:maria+x@acme.com")
    assert parse_qs(uri.query) == {"secret": [secret.reveal()], "issuer": ["LetsBe Hub"]}


def test_the_qr_code_is_an_svg_that_loads_and_runs_nothing():
    svg = codes.qr_svg("otpauth://totp/LetsBe%20Hub:maria%40acme.com?secret=ABC&issuer=LetsBe%20Hub")
    assert re.fullmatch(
        r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \d+ \d+"[^>]*>(<path [^<>]*/>)+</svg>', svg
    )
    assert not re.search(r"script|href|style|url\(|\bon\w+=", svg)


def test_backup_codes_are_different_long_and_taken_however_they_are_typed():
    made = codes.new_backup_codes(SeededRandomness(2))
    assert len(set(made)) == codes.BACKUP_CODES
    hashes = {codes.backup_hash(code) for code in made}
    assert len(hashes) == codes.BACKUP_CODES
    for code in made:
        assert re.fullmatch(r"[0-9a-z]{4}(-[0-9a-z]{4}){3}", code)
        typed = f" {code.upper().replace('-', ' ').replace('0', 'O').replace('1', 'l')} "
        assert codes.backup_hash(typed) == codes.backup_hash(code)
    assert {len(hashed) for hashed in hashes if hashed} == {32}


@pytest.mark.parametrize("code", ["", "123456", "abcd-efgh", "u" * 16, "0" * 17, "0" * 15])
def test_what_cannot_be_a_backup_code_has_no_hash(code: str):
    assert codes.backup_hash(code) is None
