"""Files in a request: one file out of a `multipart/form-data` body (RFC 7578)."""

from __future__ import annotations

from typing import Final

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from controlplane.api.incoming import Incoming
from protocol.faults import UnsupportedMediaType, ValidationError

_MOST_PARTS: Final = 10
_LONGEST_BOUNDARY: Final = 70


def file_in(incoming: Incoming, body: bytes, *, field: str) -> bytes:
    """The one file of a body, in the part named `field` or in the only part that is a file.

    What the client calls the file and its type is not taken: what it is shows in what it holds.

    Raises:
        UnsupportedMediaType: the body is no `multipart/form-data`.
        ValidationError: it is broken, or holds no file, or more than one.
    """
    media_type, options = parse_options_header(incoming.headers.get("content-type"))
    boundary = options.get("boundary", "")
    if media_type.lower() != "multipart/form-data" or not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        raise UnsupportedMediaType("the body must be multipart/form-data, told by its Content-Type with a boundary")
    try:
        files = _files(body, boundary.encode("latin-1"))
    except (ValueError, RequestEntityTooLarge):
        raise ValidationError.of(field, "is not sent as multipart/form-data is written") from None
    if len(files) != 1:
        raise ValidationError.of(field, "must be one file")
    return files[0]


def _files(body: bytes, boundary: bytes) -> list[bytes]:
    decoder = MultipartDecoder(boundary, max_form_memory_size=len(body), max_parts=_MOST_PARTS)
    decoder.receive_data(body)
    decoder.receive_data(None)
    files: list[list[bytes]] = []
    in_file = False
    while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
        if isinstance(event, File):
            files.append([])
            in_file = True
        elif isinstance(event, Field):
            in_file = False
        elif isinstance(event, Data) and in_file:
            files[-1].append(event.data)
    if isinstance(event, NeedData):
        raise ValueError("the body breaks off")  # noqa: TRY004 - about its content
    return [b"".join(chunks) for chunks in files]
