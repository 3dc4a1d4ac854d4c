"""The web console's files and pages: every room is one small HTML shell that loads one module."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from posixpath import dirname, normpath
from typing import Any, Final

from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.guards import Anyone, Public
from controlplane.api.guards_people import Visitor, Visitors
from controlplane.api.router import Rate, Router
from protocol.words import UserType

#: What a page of the console may do. Its scripts, styles and pictures are the Hub's own; `connect-src 'self'` holds
#: for the socket as well (CSP 3 section 6.7.2.8: 'self' matches ws and wss of the same host and port).
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TYPES: Final = {
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_STATIC_IMPORT: Final = re.compile(r'(?:\bfrom|\bimport)\s*"(\.{1,2}/[^"]+)"')
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ROOMS: Final = (
    "/sign-in",
    "/setup",
    *("/forgot-password", "/reset-password", "/set-password", "/accept-invite"),
    *("/customer", "/customer/{room}", "/customer/{room}/{thing}"),
    *("/admin", "/admin/{room}", "/admin/{room}/{thing}", "/admin/{room}/{thing}/{part}/{item}"),
)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is sent, plain and compressed."""

    content_type: str
    plain: bytes
    gzipped: bytes

    @classmethod
    def of(cls, content_type: str, body: bytes) -> StaticFile:
        return cls(content_type, body, gzip.compress(body, 9, mtime=0))

    def answer(self, accept_encoding: str, **headers: str) -> Raw:
        """The file, compressed where the browser takes gzip (RFC 9110 section 12.5.3)."""
        takes_gzip = "gzip" in accept_encoding and "gzip;q=0" not in accept_encoding.replace(" ", "")
        if takes_gzip:
            headers["Content-Encoding"] = "gzip"
        return Raw(
            body=self.gzipped if takes_gzip else self.plain,
            content_type=self.content_type,
            headers={"Vary": "Accept-Encoding", **headers},
        )


def console_router() -> Router:
    """The routes of the console.

    All files lie under one path that holds the hash of them all: a browser keeps them for ever, and a changed file
    changes every address, so that an open page never mixes two versions.
    """
    folder = files("controlplane.console")
    bodies = dict(sorted(_walk(folder)))
    digest = hashlib.sha256()
    for name, body in bodies.items():
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    base = f"/console/{digest.hexdigest()[:16]}"

    routes = Router("", guard=Public(), tag="Console", rate=Rate.NONE, forgive_unknown=True)
    for name, body in bodies.items():
        _serve(routes, f"{base}/{name}", StaticFile.of(_TYPES[name.rpartition(".")[2]], body))

    shell = _shell((folder / "shell.html").read_text("utf-8"), base, _loaded_at_once(bodies))
    for path in _ROOMS:
        _serve_page(routes, path, shell)

    @routes.get("/", envelope=False, hidden=True, quiet=True, guard=Visitors())
    async def front_page(call: Call[Visitor]) -> Raw:
        """Go where the session belongs, or to the sign-in page."""
        session = call.caller.session
        homes = {None: "/sign-in", UserType.STAFF: "/admin", UserType.CUSTOMER: "/customer"}
        target = homes[None if session is None else session.user_type]
        return Raw(body=b"", status=302, headers={"Location": target, "Cache-Control": "no-store"})

    return routes


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            yield prefix + entry.name, entry.read_bytes()


def _loaded_at_once(bodies: dict[str, bytes]) -> list[str]:
    """The modules that `main.js` needs before it runs; rooms fetched on demand (`import("…")`) are not among them."""
    found: dict[str, None] = {"main.js": None}
    waiting = ["main.js"]
    while waiting:
        name = waiting.pop()
        for specifier in _STATIC_IMPORT.findall(bodies[name].decode()):
            module = normpath(f"{dirname(name)}/{specifier}" if dirname(name) else specifier)
            if module not in found:
                found[module] = None
                waiting.append(module)
    return sorted(found)


def _shell(template: str, base: str, names: list[str]) -> StaticFile:
    """The page: it names every module it needs at first, so that they are fetched at once and not link by link."""
    modules = [name for name in names if name != "main.js"]
    preloads = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in modules)
    return StaticFile.of(
        "text/html; charset=utf-8", template.replace("{base}", base).replace("{preloads}", preloads).encode()
    )


def _serve(routes: Router, path: str, file: StaticFile) -> None:
    @routes.get(path, envelope=False, hidden=True, quiet=True)
    async def console_file(call: Call[Anyone]) -> Raw:
        """A file of the console."""
        encoding = call.request.headers.get("accept-encoding", "")
        return file.answer(encoding, **{"Cache-Control": _FOR_EVER, "Content-Security-Policy": "default-src 'none'"})


def _serve_page(routes: Router, path: str, shell: StaticFile) -> None:
    etag = f'"{hashlib.sha256(shell.plain).hexdigest()[:16]}"'

    def page(call: Call[Any]) -> Raw:
        headers = {
            "Content-Security-Policy": PAGE_POLICY,
            "Cache-Control": "no-cache",
            "ETag": f"W/{etag}",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "same-origin",
        }
        if etag in call.request.headers.get("if-none-match", ""):
            return Raw(body=b"", status=304, content_type=shell.content_type, headers=headers)
        return shell.answer(call.request.headers.get("accept-encoding", ""), **headers)

    declare = partial(routes.get, path, envelope=False, hidden=True, quiet=True)
    if "{item}" in path:

        @declare()
        async def page_of_a_part(call: Call[Anyone], room: str, thing: str, part: str, item: str) -> Raw:
            """The console, for one part of one thing."""
            return page(call)

    elif "{thing}" in path:

        @declare()
        async def page_of_a_thing(call: Call[Anyone], room: str, thing: str) -> Raw:
            """A page of the console about one thing."""
            return page(call)

    elif "{room}" in path:

        @declare()
        async def page_of_a_room(call: Call[Anyone], room: str) -> Raw:
            """A page of the console."""
            return page(call)

    else:

        @declare()
        async def page_of_the_console(call: Call[Anyone]) -> Raw:
            """A page of the console."""
            return page(call)
