"""One file out of a multipart body: as clients send it, and as nobody should."""

from __future__ import annotations

import httpx
import pytest

from controlplane.api.incoming import Incoming
from controlplane.api.uploads import file_in
from protocol.faults import UnsupportedMediaType, ValidationError


def incoming(content_type: str | None) -> Incoming:
    headers = [] if content_type is None else [(b"content-type", content_type.encode("latin-1"))]
    return Incoming(method="POST", path="/", raw_headers=headers)


def sent(**parts) -> tuple[Incoming, bytes]:
    request = httpx.Request("POST", "http://hub.test/", **parts)
    return incoming(request.headers.get("content-type")), request.read()


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n--", b"--" * 50_000, bytes(range(256)) * 4_000])
@pytest.mark.parametrize("name", ["photo", "file", "x"])
def test_the_one_file_is_found_whatever_its_part_is_called(content: bytes, name: str):
    request, body = sent(files={name: ("../../me.svg", content, "text/html")})
    assert file_in(request, body, field="photo") == content


def test_fields_beside_the_file_are_passed_over():
    request, body = sent(files={"photo": ("me.png", b"picture")}, data={"caption": "me", "crop": "0,0"})
    assert file_in(request, body, field="photo") == b"picture"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "image/png",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/mixed; boundary=x",
        f"multipart/form-data; boundary={'x' * 71}",
    ],
)
def test_another_media_type_is_refused(content_type: str | None):
    with pytest.raises(UnsupportedMediaType):
        file_in(incoming(content_type), b"--x--", field="photo")


FILE = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\nA\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\nno file\r\n--x--\r\n',
        FILE,
        FILE[:40],
        FILE + FILE + b"--x--\r\n",
        FILE * 50 + b"--x--\r\n",
        b"--x\r\n\r\nno headers\r\n--x--\r\n",
        b"--x\r\nContent-Disposition\r\n\r\nA\r\n--x--\r\n",
        b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\nA\r\n--x--\r\n",
    ],
    ids=range(11),
)
def test_what_is_not_one_file_is_refused(body: bytes):
    with pytest.raises(ValidationError) as refused:
        file_in(incoming("multipart/form-data; boundary=x"), body, field="photo")
    assert [problem.field for problem in refused.value.details] == ["photo"]


def test_the_smallest_body_with_a_file():
    assert file_in(incoming("multipart/form-data; boundary=x"), FILE + b"--x--\r\n", field="photo") == b"A"
