"""The request head of a handshake: found in the bytes, checked against RFC 6455 section 4.2.1, or refused in HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderFormat, InvalidMethod, InvalidUpgrade
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from controlplane.door.answers import error_response
from controlplane.door.sockets.handshake import Refused, Upgrade, UpgradeHeaders
from controlplane.door.sockets.sansio import QUIET

_ENDS = (b"\r\n\r\n", b"\n\n", b"\n\r\n")


@dataclass(frozen=True, slots=True)
class Opening:
    """A sound upgrade request, and the 101 that answers it once it is admitted."""

    upgrade: Upgrade
    accepting: Response

    def accept(self, subprotocol: str | None) -> bytes:
        """The bytes of the 101 answer."""
        if subprotocol is not None:
            self.accepting.headers["Sec-WebSocket-Protocol"] = subprotocol
        return self.accepting.serialize()


def head_end(data: bytes | bytearray) -> int | None:
    """Where the body would begin; None while the head is incomplete. Bare line feeds end it too, to be refused."""
    ends = [at + len(end) for end in _ENDS if (at := data.find(end)) >= 0]
    return min(ends) if ends else None


def read_head(head: bytes, remote_address: str) -> Opening:
    """Read a whole request head.

    Args:
        head: from the request line to the empty line.
        remote_address: the peer's IP address.

    Raises:
        Refused: it is not a WebSocket upgrade (426), or not a sound one.
    """
    protocol = ServerProtocol(logger=QUIET)
    protocol.receive_data(head)
    events = protocol.events_received()
    if not events or not isinstance(events[0], Request):
        raise _unreadable(protocol)
    request = events[0]
    accepting = protocol.accept(request)
    if accepting.status_code != 101:
        raise _unsound(protocol.handshake_exc, accepting)
    path, _, query = request.path.partition("?")
    upgrade = Upgrade(
        path=path,
        query=query,
        headers=UpgradeHeaders(list(request.headers.raw_items())),
        remote_address=remote_address,
        subprotocols=_subprotocols(request.headers),
    )
    return Opening(upgrade, accepting)


def refusal(refused: Refused) -> bytes:
    """The bytes of a refusal."""
    headers = dict(refused.headers)
    if refused.status == 401 and "www-authenticate" not in {name.lower() for name in headers}:
        headers["WWW-Authenticate"] = "Bearer"
    return error_response(refused.status, refused.code, refused.message, details=refused.details, headers=headers)


def _subprotocols(headers: Headers) -> list[str]:
    try:
        return [
            subprotocol
            for value in headers.get_all("Sec-WebSocket-Protocol")
            for subprotocol in parse_subprotocol(value)
        ]
    except InvalidHeaderFormat as error:
        raise Refused(400, "VALIDATION_ERROR", f"malformed handshake: {error}") from error


def _unreadable(protocol: ServerProtocol) -> Refused:
    status = 400
    for data in protocol.data_to_send():
        if data.startswith(b"HTTP/1.1 "):  # too long a line, too many headers
            status = int(data[9:12])
    if status == 414:
        return Refused(414, "URI_TOO_LONG", "the request line is too long")
    if status == 431:
        return Refused(431, "HEADERS_TOO_LARGE", "the request's headers are too large")
    return Refused(400, "VALIDATION_ERROR", "this is not a well-formed HTTP/1.1 request")


def _unsound(error: Exception | None, answer: Response) -> Refused:
    if isinstance(error, InvalidMethod | InvalidUpgrade):
        return Refused(
            426,
            "UPGRADE_REQUIRED",
            "this address speaks WebSocket only: send a GET request with an upgrade to websocket",
            {"Upgrade": "websocket"},
        )
    status = answer.status_code if 400 <= answer.status_code < 500 or answer.status_code == 505 else 400
    return Refused(status, "VALIDATION_ERROR", f"malformed handshake: {error}")
