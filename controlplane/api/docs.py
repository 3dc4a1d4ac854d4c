"""The OpenAPI and AsyncAPI documents and the page that shows it; nothing on it is loaded from elsewhere."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from controlplane.api.call import Call
from controlplane.api.envelope import Raw
from controlplane.api.guards import Anyone, Public
from controlplane.api.router import Rate, Router

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ASSETS: Final = {
    "docs.mjs": "text/javascript; charset=utf-8",
    "docs.css": "text/css; charset=utf-8",
    "docs.svg": "image/svg+xml",
}


def docs_router(openapi: bytes, asyncapi: bytes) -> Router:
    """The routes of the documentation.

    Args:
        openapi: the document of the HTTP API as JSON.
        asyncapi: that of the sockets.
    """
    routes = Router("/api", guard=Public(), tag="Documentation", rate=Rate.NONE, forgive_unknown=True)
    folder = files("controlplane.api.docs_page")
    page = (folder / "docs.html").read_bytes()
    assets = {name: (folder / name).read_bytes() for name in _ASSETS}

    @routes.get("/openapi.json", envelope=False, hidden=True, quiet=True)
    async def openapi_document(call: Call[Anyone]) -> Raw:
        """This API as an OpenAPI 3.1 document."""
        return Raw(body=openapi, headers={"Cache-Control": "no-cache"})

    @routes.get("/asyncapi.json", envelope=False, hidden=True, quiet=True)
    async def asyncapi_document(call: Call[Anyone]) -> Raw:
        """The sockets as an AsyncAPI 3 document."""
        return Raw(body=asyncapi, headers={"Cache-Control": "no-cache"})

    @routes.get("/docs", envelope=False, hidden=True, quiet=True)
    async def docs_page(call: Call[Anyone]) -> Raw:
        """The documentation page."""
        headers = {"Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache"}
        return Raw(body=page, content_type="text/html; charset=utf-8", headers=headers)

    for name, content_type in _ASSETS.items():
        _serve(routes, name, assets[name], content_type)
    return routes


def _serve(routes: Router, name: str, body: bytes, content_type: str) -> None:
    @routes.get(f"/docs/{name}", envelope=False, hidden=True, quiet=True)
    async def docs_asset(call: Call[Anyone]) -> Raw:
        """A part of the documentation page."""
        return Raw(body=body, content_type=content_type, headers={"Cache-Control": "no-cache"})
