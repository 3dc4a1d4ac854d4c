"""The log: one stream for everybody, and no secret in it, wherever one was planted."""

from __future__ import annotations

import base64
import io
import json
import logging
import secrets
import warnings
from collections.abc import Callable, Iterator

import pytest
import structlog

from controlplane import logs
from controlplane.secret import Secret


class Log:
    """What was written, as text and as JSON lines."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def configure() -> Iterator[Callable[..., Log]]:
    """`logs.configure` into memory; everything it set is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def start(log_format: str = "json", level: str = "debug") -> Log:
        log = Log()
        logs.configure(log_format=log_format, level=level, stream=log.stream)
        return log

    yield start
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def canary() -> str:
    return secrets.token_urlsafe(32)


PLANTED: dict[str, Callable[[str], dict[str, object]]] = {
    "a field named password": lambda c: {"password": c},
    "a field named new_password": lambda c: {"new_password": c[:12]},
    "a field named hubApiKey": lambda c: {"hubApiKey": c[:8]},
    "a field named Set-Cookie": lambda c: {"Set-Cookie": c[:8]},
    "a field named registrationToken": lambda c: {"registrationToken": c[:8]},
    "a nested header": lambda c: {"headers": {"Authorization": c[:10], "Host": "hub"}},
    "a list of mappings": lambda c: {"items": [{"deep": {"client_secret": c[:10]}}]},
    "a Secret": lambda c: {"key": Secret(c)},
    "a Secret in a list": lambda c: {"keys": [Secret(c)]},
    "an API key in a sentence": lambda c: {"why": f"hk_ab12cd_{c[:9]} was refused"},
    "a bearer token": lambda c: {"header": f"Bearer {c[:9]}"},
    "basic credentials": lambda c: {"header": "Basic " + base64.b64encode(c[:9].encode()).decode()},
    "a registration token": lambda c: {"seen": f"rt_{secrets.token_hex(32)[:40]}{c}"},
    "a session token alone": lambda c: {"seen": c},
    "a session cookie": lambda c: {"seen": f"a=1; __Secure-next-auth.session-token={c[:9]}; b=2"},
    "a database URL": lambda c: {"url": f"postgresql+asyncpg://hub:{c[:9]}@db/hub"},
    "a query string": lambda c: {"path": f"/socket?token={c[:9]}&x=1"},
    "JSON in a text": lambda c: {"body": json.dumps({"password": c[:9]})},
    "bytes": lambda c: {"body": f"Bearer {c[:9]}".encode()},
    "an object's repr": lambda c: {"error": ValueError(f"token='{c[:9]}'")},
    "a private key": lambda c: {"pem": f"-----BEGIN PRIVATE KEY-----\n{c[:9]}\n-----END PRIVATE KEY-----"},
    "a Stripe key": lambda c: {"seen": f"sk_live_{c[:20]}"},
    "the event itself": lambda c: {"event": f"signed in with Bearer {c[:9]}"},
}


def pieces(secret: str) -> list[str]:
    """The shortest part of the canary that any planting uses, plain and as base64."""
    return [secret[:8], base64.b64encode(secret[:9].encode()).decode()[:10]]


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("where", PLANTED)
def test_no_planted_secret_reaches_the_log(configure: Callable[..., Log], where: str, log_format: str) -> None:
    log = configure(log_format)
    planted = canary()
    fields = PLANTED[where](planted)
    structlog.get_logger().info(fields.pop("event", "planted"), **fields)
    assert "•••" in log.text
    for piece in pieces(planted):
        assert piece not in log.text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_planted_secret_reaches_the_log_by_a_library(configure: Callable[..., Log], log_format: str) -> None:
    log = configure(log_format)
    planted = canary()
    logging.getLogger("hypercorn.error").warning("GET %s", f"/socket?key=1&api_key={planted}")
    assert planted not in log.text
    assert "GET /socket?key=1&api_key=•••" in log.text


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_is_logged_without_the_secret_of_its_message(
    configure: Callable[..., Log], log_format: str
) -> None:
    log = configure(log_format)
    planted = canary()

    def refuse(password: str) -> None:
        raise ValueError(f"bad Bearer {password}")

    try:
        refuse(planted)
    except ValueError:
        structlog.get_logger().exception("socket.failed")
    assert "Traceback" in log.text
    assert "ValueError" in log.text
    assert planted not in log.text


def test_what_is_no_secret_stays_readable(configure: Callable[..., Log]) -> None:
    log = configure()
    fields = {
        "order": "ord_01jq5r9kx3f4q8v2w6y7z8a9bc",
        "key_prefix": "ab12cd34",
        "code": 4003,
        "seconds": 0.25,
        "path": "/api/v1/customer/approvals/appr_01jq5r9kx3f4q8v2w6y7z8a9bc",
        "uuid": "0195d2f0-9c5b-7c3e-8a0f-2f0d6c5b4a39",
        "name": "a_test_with_a_name_that_is_longer_than_forty_characters",
        "nothing": None,
        "nested": {"status": ["PENDING", "APPROVED"]},
    }
    structlog.get_logger().info("approval.settled", **fields)
    (line,) = log.lines
    assert {name: line[name] for name in fields} == fields
    assert line["event"] == "approval.settled"
    assert line["level"] == "info"
    assert str(line["at"]).endswith("Z")


def test_an_api_key_keeps_its_public_prefix() -> None:
    assert logs.scrub("key hk_ab12cd_S3cret-value used") == "key hk_ab12cd_••• used"


def test_lines_below_the_level_are_not_written(configure: Callable[..., Log]) -> None:
    log = configure(level="warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in log.lines] == ["loud"]


def test_libraries_are_heard_from_warning_up_and_named(configure: Callable[..., Log]) -> None:
    log = configure()
    logging.getLogger("sqlalchemy.engine").info("SELECT secret_parameters")
    logging.getLogger("asyncpg").warning("connection %s lost", 7)
    (line,) = log.lines
    assert (line["event"], line["logger"], line["level"]) == ("connection 7 lost", "asyncpg", "warning")


def test_python_warnings_are_log_lines(configure: Callable[..., Log]) -> None:
    log = configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("this will go away", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "this will go away" in log.text


def test_a_bound_request_id_is_on_the_line(configure: Callable[..., Log]) -> None:
    log = configure()
    with structlog.contextvars.bound_contextvars(request="req_1"):
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")
    assert [line.get("request") for line in log.lines] == ["req_1", None]


def test_nobody_forges_a_line_or_paints_the_terminal(configure: Callable[..., Log]) -> None:
    log = configure("console")
    structlog.get_logger().info("seen", agent="x\n2026-01-01 [info] forged \x1b[31mred")
    logging.getLogger("hypercorn.error").warning("GET /\n2026-01-01 [info] forged %s", "\x1b[31mred")
    assert len(log.text.splitlines()) == 2
    assert "\x1b" not in log.text


def test_a_huge_text_is_cut_and_no_half_secret_remains() -> None:
    planted = canary()
    half = 16_384 // 2
    text = "w " * (half // 2 - 10) + planted + " w" * half
    short = logs.scrub(text)
    assert len(short) < 17_000
    assert planted[:8] not in short
    assert "characters …" in short


def test_a_mapping_that_contains_itself_ends(configure: Callable[..., Log]) -> None:
    log = configure()
    loop: dict[str, object] = {}
    loop["self"] = loop
    structlog.get_logger().info("looped", value=loop)
    assert log.lines[0]["event"] == "looped"
