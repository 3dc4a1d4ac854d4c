"""The console's files without a browser: hashes of what is vendored, the policy, the cache, the laws of its modules."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from controlplane.api.console_pages import PAGE_POLICY, console_router
from controlplane.api.permissions import PERMISSIONS, Permission
from tests.browser.hub import HubProcess
from tests.postgres import roomy_memory
from tools.vendor_console import rewrite

ROOT = Path(__file__).parent.parent.parent
CONSOLE = ROOT / "controlplane" / "console"
OWN = sorted(path for path in CONSOLE.rglob("*.js") if "vendor" not in path.parts)


@pytest.mark.parametrize("folder", [CONSOLE / "vendor", Path(__file__).parent / "vendor"])
def test_what_is_vendored_is_what_the_manifest_says(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {path.name for path in folder.iterdir() if path.suffix in {".mjs", ".js"}}
    assert files == {part["served"] for part in manifest}
    for part in manifest:
        assert hashlib.sha256((folder / part["served"]).read_bytes()).hexdigest() == part["servedSha256"], part[
            "served"
        ]
        assert re.fullmatch(r"\d+\.\d+\.\d+", part["version"])


def test_bare_specifiers_are_rewritten_and_strangers_refused() -> None:
    assert rewrite('import{h}from"preact";export*from"./a.js";') == 'import{h}from"./preact.mjs";export*from"./a.js";'
    with pytest.raises(KeyError):
        rewrite('import x from"left-pad";')


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_module_keeps_the_laws_of_the_console(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("// "), "its first line says what lives there"
    assert len(text.splitlines()) < 300
    for forbidden in (
        "innerHTML",
        "dangerouslySetInnerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        'style="',
        "style=${",
    ):
        assert forbidden not in text, forbidden
    assert text.count("import(") == len(re.findall(r'\(\) => import\("\./rooms/[a-z_]+\.js"\)', text)), (
        "only rooms, by name"
    )
    for specifier in re.findall(r'(?:\bfrom |\bimport\()"([^"]+)"', text):
        assert specifier.startswith("."), f"{specifier} would need an import map"
        assert (path.parent / specifier).resolve().is_file(), specifier


def test_every_icon_that_is_named_exists() -> None:
    sprite = set(re.findall(r'id="i-([a-z-]+)"', (CONSOLE / "icons.svg").read_text()))
    for path in OWN:
        for name in re.findall(r'<\$\{Icon\} name="([a-z-]+)"', path.read_text()):
            assert name in sprite, f"{path.name} names {name}"


def test_the_console_knows_the_roles_as_the_hub_does() -> None:
    table = re.search(r"PERMISSIONS = \{(.*?)\};", (CONSOLE / "session.js").read_text(), re.DOTALL)
    assert table is not None
    told = {
        name: set(re.findall(r'"([A-Z]+)"', roles)) for name, roles in re.findall(r'"([a-z.]+)": \[(.*?)\]', table[1])
    }
    assert told.keys() == {str(permission) for permission in Permission}
    for name, roles in told.items():
        assert roles == {str(role) for role, held in PERMISSIONS.items() if Permission(name) in held}, name


def test_no_policy_lets_anything_foreign_in() -> None:
    for wanted in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert wanted in PAGE_POLICY
    assert "unsafe" not in PAGE_POLICY
    shell = (CONSOLE / "shell.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|https?://", shell)


def test_one_address_holds_the_hash_of_all_files() -> None:
    first = {endpoint.path for endpoint in console_router().endpoints}
    assert first == {endpoint.path for endpoint in console_router().endpoints}
    files = [path for path in first if path.startswith("/console/")]
    assert len({path.split("/")[2] for path in files}) == 1
    assert not [path for path in files if path.endswith((".py", ".json", ".html", ".txt"))]


def test_files_are_kept_for_ever_and_pages_are_asked_for(plain_hub: HubProcess) -> None:
    with httpx.Client(base_url=plain_hub.url) as client:
        page = client.get("/customer/approvals/appr_1")
        assert page.status_code == 200
        assert page.headers["content-security-policy"] == PAGE_POLICY
        assert client.get("/sign-in", headers={"if-none-match": page.headers["etag"]}).status_code == 304
        main = re.search(r'type="module" src="([^"]+)"', page.text)
        assert main is not None
        script = client.get(main[1])
        assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert script.headers["content-encoding"] == "gzip"
        assert script.headers["content-type"].startswith("text/javascript")
        plain = client.get(main[1], headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.text == script.text == (CONSOLE / "main.js").read_text()
        assert client.get(main[1].replace("/console/", "/console/0")).status_code == 404
        assert client.get("/", follow_redirects=False).headers["location"] == "/sign-in"


def _compressed(paths: Iterable[Path]) -> int:
    return sum(len(gzip.compress(path.read_bytes(), 9)) for path in paths)


def test_the_page_is_light_and_rooms_come_on_demand(plain_hub: HubProcess) -> None:
    """What a first visit transfers, compressed; a room that is fetched on demand is no part of it, nor is its own."""
    page = httpx.get(f"{plain_hub.url}/sign-in").text
    at_once = {CONSOLE / name for name in re.findall(r'(?:href|src)="/console/[0-9a-f]{16}/([^"]+)"', page)}
    on_demand = {
        CONSOLE / "rooms" / name
        for name in re.findall(r'import\("\./rooms/(\w+\.js)"\)', (CONSOLE / "main.js").read_text())
    }
    assert on_demand
    assert not on_demand & at_once
    for path in at_once:  # what is needed at once is named, so that nothing is fetched link by link
        for specifier in re.findall(r'\bfrom ?"(\.[^"]+)"', path.read_text("utf-8")) if "js" in path.suffix else ():
            assert (path.parent / specifier).resolve() in at_once, specifier
    assert _compressed({*at_once, CONSOLE / "icons.svg", CONSOLE / "shell.html"}) < 150_000
    assert _compressed(path for path in CONSOLE.rglob("*") if path.suffix in {".js", ".mjs", ".css", ".svg"}) < 300_000


@pytest.fixture
def plain_hub() -> Iterator[HubProcess]:
    """A Hub without people."""
    with tempfile.TemporaryDirectory(prefix="hub-", dir=roomy_memory(), ignore_cleanup_errors=True) as folder:
        state = Path(folder) / "state"
        state.mkdir(mode=0o700)
        hub = HubProcess(state)
        try:
            hub.start()
            yield hub
        finally:
            hub.stop()
