"""The documents keep to the code: every frame, hash, limit, path, command and link in them is tried."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pytest
from websockets.utils import accept_key

from actors.runtime import SeededRandomness, SystemIds, VirtualClock
from controlplane.api.hub import Hub
from controlplane.api.limits import Limits
from controlplane.api.mount import build_app
from controlplane.settings import declarations, variable_of
from protocol import canonical, signature, tenant
from protocol.objects import TenantConfig
from tests.unit.api.conftest import START
from tests.unit.api.test_mount import ask

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PROTOCOL = DOCS / "protocol.md"
ARCHITECTURE = DOCS / "architecture.md"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
CODE_FOLDERS = ("protocol", "actors", "controlplane", "wrapper", "migrations", "tests", "bench", "docs")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


class Example(NamedTuple):
    """A fenced block: the words after its language, its text, and where it begins."""

    words: tuple[str, ...]
    text: str
    line: int


def examples(page: Path, language: str) -> list[Example]:
    found: list[Example] = []
    opening: tuple[str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```") and opening is None:
            opening, lines = (line[3:].strip(), number), []
        elif line.startswith("```") and opening is not None:
            first, *words = opening[0].split() or [""]
            if first == language:
                found.append(Example(tuple(words), "\n".join(lines), opening[1]))
            opening = None
        else:
            lines.append(line)
    assert opening is None, f"{page.name}: the block of line {opening[1] if opening else 0} does not end"
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def resolve(dotted: str) -> Any:
    """A module's attribute, or an attribute of that, by its dotted name."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = found.__dataclass_fields__[name].default if _is_field(found, name) else getattr(found, name)
        return found
    raise AssertionError(f"there is no {dotted}")


def _is_field(found: Any, name: str) -> bool:
    return isinstance(found, type) and name in getattr(found, "__dataclass_fields__", {})


def said_again(value: Any) -> Any:
    """What the code would say of what it has read, as plain JSON values."""
    return json.loads(msgspec.json.encode(value))


def assert_within(written: Any, read: Any, where: str) -> None:
    """Everything an example says was understood: nothing in it is unknown to the code, or changed by it."""
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            assert name in read, f"{where}: {name} is unknown"
            assert_within(value, read[name], f"{where}.{name}")
    elif isinstance(written, list) and isinstance(read, list):
        assert len(written) == len(read), where
        for number, (left, right) in enumerate(zip(written, read, strict=True)):
            assert_within(left, right, f"{where}[{number}]")
    else:
        assert written == read, where


BLOCKS = examples(PROTOCOL, "json")


def blocks(word: str) -> list[Example]:
    return [block for block in BLOCKS if block.words[0].partition("=")[0] == word]


def by_line(block: Example) -> str:
    return f"line {block.line}"


def test_every_example_says_what_it_is() -> None:
    known = {"frame", "as", "answer", "args", "config-canonical", "signature"}
    unknown = [block.line for block in BLOCKS if not block.words or block.words[0].partition("=")[0] not in known]
    assert not unknown


@pytest.mark.parametrize("block", blocks("frame"), ids=by_line)
def test_a_frame_is_one(block: Example) -> None:
    codec = {"hub": tenant.to_tenant, "wrapper": tenant.from_tenant}[block.words[0].partition("=")[2]]
    frame = codec.decode(block.text.encode())
    assert_within(json.loads(block.text), said_again(frame), tenant.frame_type(frame))


@pytest.mark.parametrize(("side", "union"), [("hub", tenant.ToTenant), ("wrapper", tenant.FromTenant)])
def test_every_frame_has_an_example(side: str, union: Any) -> None:
    shown = {json.loads(block.text)["type"] for block in blocks("frame") if f"frame={side}" in block.words}
    assert shown == {frame.__struct_config__.tag for frame in union.__args__}


@pytest.mark.parametrize("block", [*blocks("as"), *blocks("answer")], ids=by_line)
def test_a_body_is_what_it_says(block: Example) -> None:
    kind, _, name = block.words[0].partition("=")
    written = json.loads(block.text)
    if kind == "answer":
        assert written["success"] is True
        written = written["data"]
    read = msgspec.json.decode(json.dumps(written), type=resolve(name))
    assert_within(written, said_again(read), name)


@pytest.mark.parametrize("block", blocks("args"), ids=by_line)
def test_args_hash(block: Example) -> None:
    example = msgspec.json.decode(block.text)
    form = canonical.canonical({"args": example["args"], "tool": example["tool"]})
    assert form.decode() == example["canonical"]
    assert canonical.args_hash(example["tool"], example["args"]) == example["argsHash"]
    assert hashlib.sha256(example["canonical"].encode()).hexdigest() == example["argsHash"]


def test_the_request_and_the_decision_carry_the_hash_of_the_call() -> None:
    frames = {frame["type"]: frame for frame in (json.loads(block.text) for block in blocks("frame"))}
    request = frames["approvalRequest"]
    assert request["argsHash"] == canonical.args_hash(request["toolName"], request["toolArgs"])
    assert frames["approvalSettled"]["argsHash"] == request["argsHash"]
    assert frames["approvalSettled"]["requestId"] == request["id"]


def test_config_hash() -> None:
    (offer,) = [json.loads(block.text) for block in blocks("frame") if "config" in block.words]
    (form,) = blocks("config-canonical")
    config = msgspec.convert(offer["config"], TenantConfig)
    assert canonical.config_hash(config) == config.config_hash == offer["configHash"]
    bare = {name: value for name, value in offer["config"].items() if name != "configHash"}
    assert canonical.canonical(bare).decode() == form.text
    assert hashlib.sha256(form.text.encode()).hexdigest() == offer["configHash"]
    assert set(re.findall(r"\b[0-9a-f]{64}\b", prose(PROTOCOL))) == {offer["configHash"]}


def test_signatures() -> None:
    (block,) = blocks("signature")
    example = json.loads(block.text)
    body = example["body"].encode()
    signed = signature.sign(
        key=example["key"], body=body, event=example["event"], message_id=example["id"], timestamp=example["timestamp"]
    )
    assert example["headers"] == signed
    replays = signature.MemoryReplayStore()
    now = example["timestamp"] + signature.TOLERANCE_SECONDS
    verified = signature.verify(example["headers"], body, keys=(example["key"],), now=now, replays=replays)
    assert verified.message_id == example["id"]
    assert f"{signature.TOLERANCE_SECONDS} s off" in prose(PROTOCOL)


def test_the_handshake() -> None:
    request, answer = [block.text for block in examples(PROTOCOL, "http") if "Sec-WebSocket" in block.text]
    key = re.search(r"Sec-WebSocket-Key: (\S+)", request)
    assert key is not None
    assert f"Sec-WebSocket-Accept: {accept_key(key[1])}" in answer
    for head in (request, answer):
        assert f"Sec-WebSocket-Protocol: {tenant.SUBPROTOCOL}" in head
    assert request.startswith(f"GET {tenant.SOCKET_PATH} HTTP/1.1")


def test_every_close_code_has_its_row() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \|", prose(PROTOCOL).partition("## When the socket closes")[2], re.MULTILINE)
    told = {int(code) for row in rows for code in row.split(",")}
    assert told >= {value for name, value in vars(tenant.CloseCode).items() if name.isupper()}


def limits() -> list[tuple[str, str]]:
    section = prose(PROTOCOL).partition("## Limits")[2].partition("\n## ")[0]
    return re.findall(r"^\|[^|]+\| (\d+) \| `([\w.]+)` \|$", section, re.MULTILINE)


@pytest.mark.parametrize(("value", "name"), limits())
def test_a_limit_is_the_codes(value: str, name: str) -> None:
    assert resolve(name) == int(value)


def test_limits_are_read() -> None:
    assert len(limits()) > 10


# --- the other pages -----------------------------------------------------------------------------------------


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        aim = (page.parent / name).resolve() if name else page
        assert aim.exists(), target
        if anchor:
            assert anchor in {slug(heading) for heading in headings(aim)}, target


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)


def slug(heading: str) -> str:
    """A heading's anchor, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@each_page
def test_paths_exist(page: Path) -> None:
    """In running text and pictures: `controlplane/api/mount.py`, `wrapper/`, `tests/house/`."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"(?<![\w./-])((?:{'|'.join(CODE_FOLDERS)})/[\w./-]*\w(?:/|\b))", text)
    missing = {name for name in named if not (ROOT / name).exists() and not (ROOT / f"{name}.py").exists()}
    assert not missing


@each_page
def test_tests_exist(page: Path) -> None:
    """A test that is named by its node: `tests/house/test_docs.py::test_tests_exist`."""
    for file, name in re.findall(r"\b(tests/[\w/]+\.py)::(\w+)", page.read_text(encoding="utf-8")):
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(?:async )?def {name}\(", source, re.MULTILINE), f"{file}::{name}"


@each_page
def test_modules_and_targets_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"python -m ([\w.]+)", text):
        if name.split(".")[0] in CODE_FOLDERS:
            assert (ROOT / (name.replace(".", "/") + ".py")).exists(), name
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^\s*)make ([a-z-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}"
    for command in re.findall(r"(?:`|^\s*|bin/)hub ([a-z][a-z-]+)", text, re.MULTILINE):
        assert (ROOT / "controlplane" / "cli" / f"{command.replace('-', '_')}.py").exists(), f"hub {command}"


@each_page
def test_settings_exist(page: Path) -> None:
    known = {variable_of(name) for name in declarations()}
    if page == ARCHITECTURE:
        known.add("HUB_GREETING")  # the one its example adds
    named = set(re.findall(r"\bHUB_[A-Z_]+[A-Z]\b", page.read_text(encoding="utf-8"))) - {"HUB_TEST_OPENCLAW"}
    assert named <= known


def test_the_floors_are_those_of_the_linter() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (floors,) = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    (drawn,) = [block for block in examples(ARCHITECTURE, "text") if "floors" in block.words]
    assert [line.split("  ")[0].strip() for line in drawn.text.splitlines()] == floors["layers"]


async def test_the_example_endpoint_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [one for one in examples(ARCHITECTURE, "python") if "endpoint" in one.words]
    module = ModuleType("controlplane.api.public.greetings")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(block.text, f"{ARCHITECTURE.name}:{block.line}", "exec", dont_inherit=True), vars(module))
    clock, randomness = VirtualClock(START), SeededRandomness(1)
    hub = Hub(clock=clock, ids=SystemIds(clock, randomness), randomness=randomness, limits=Limits(clock))
    app = build_app([module.routes], hub)
    answer = await ask(app, "GET", "/api/v1/public/greetings/Ada?loud=true")
    assert answer.status == 200
    assert answer.json["data"]["text"] == "HELLO ADA"
    assert answer.json["data"]["at"].startswith("2026-03-15T10:00:00")
    refused = await ask(app, "GET", "/api/v1/public/greetings/Nobody")
    assert (refused.status, refused.json["error"]["code"]) == (404, "NOT_FOUND")
    assert "/api/v1/public/greetings/{name}" in app.openapi["paths"]


# --- decisions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_a_decision_is_a_page_in_four_parts(page: Path) -> None:
    assert re.fullmatch(r"\d{4}(-[a-z0-9]+)+\.md", page.name)
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Alternatives"]
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert text.count("\n") <= 60


def test_decisions_are_numbered_and_listed() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in DECISIONS:
        title = page.read_text(encoding="utf-8").splitlines()[0].partition(". ")[2]
        assert f"[{title}](decisions/{page.name})" in index


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index
