"""The command line `safety-wrapper`: options, their environment variables, and sentences when it cannot start."""

from __future__ import annotations

import functools
import logging
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import structlog
import trio

from wrapper.agent_tokens import AgentTokensWrong, read_agent_tokens
from wrapper.answerers import Answerer, Program
from wrapper.executors.declaration import ExecutorFileWrong, read_declarations
from wrapper.gate_command import gate, outcome
from wrapper.gateway import GatewayAddress
from wrapper.hub_address import BadAddress, HubAddress
from wrapper.keyring import Secret
from wrapper.openclaw import Bridge
from wrapper.openclaw_conversations import conversation_answerers
from wrapper.ports import SystemClock, SystemRandomness
from wrapper.process import CannotStart, Companion, Options, run_process
from wrapper.report_command import report
from wrapper.script import DEFAULT, BadScenario, names, scenario
from wrapper.state_folder import StateFolderBusy, StateFolderUnusable
from wrapper.systemd.notify import ServiceManager
from wrapper.systemd.unit import install

PREFIX = "SAFETY_WRAPPER"


@click.group(
    commands=[gate, outcome, report, install],
    context_settings={"auto_envvar_prefix": PREFIX, "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="letsbe-hub", prog_name="safety-wrapper")
def main() -> None:
    """The Safety Wrapper: stands between the AI agents of a server and what they want to do.

    It keeps one socket open to the Hub. A command that the policy does not simply allow is put before a person, and
    runs once when it is approved, or not at all. Without a decision, without a configuration, without a Hub: nothing
    that needs asking runs.

    Every option can also be given as an environment variable: --registration-token of `run` is
    SAFETY_WRAPPER_REGISTRATION_TOKEN, and so on.
    """


def _common(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that runs the wrapper."""
    options = [
        click.option(
            "--hub", required=True, envvar=f"{PREFIX}_HUB", metavar="URL", help="The Hub: https://host[:port]."
        ),
        click.option(
            "--state",
            required=True,
            envvar=f"{PREFIX}_STATE",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            help="Where key, journal and configuration are kept (mode 0700; one daemon a folder).",
        ),
        click.option(
            "--registration-token",
            envvar=f"{PREFIX}_REGISTRATION_TOKEN",
            metavar="TOKEN",
            help="One-use token that buys the hub API key, needed at the first start. Seen by others in the process "
            "list: prefer the variable or the file.",
        ),
        click.option(
            "--registration-token-file",
            envvar=f"{PREFIX}_REGISTRATION_TOKEN_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="File that holds the registration token.",
        ),
        click.option(
            "--master-key-file",
            envvar=f"{PREFIX}_MASTER_KEY_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="File with the Fernet key that encrypts the hub API key; SAFETY_WRAPPER_MASTER_KEY holds the key "
            "itself. Default: one made in the state folder.",
        ),
        click.option(
            "--listen",
            envvar=f"{PREFIX}_LISTEN",
            default="127.0.0.1:8100",
            show_default=True,
            metavar="HOST:PORT",
            help="Where agents ask at /gate and GET /health is answered. /gate answers programs of this machine only, "
            "wherever the wrapper listens.",
        ),
        click.option(
            "--webhooks",
            envvar=f"{PREFIX}_WEBHOOKS",
            metavar="HOST:PORT",
            help="Take webhooks here too, and answer nothing else: for a reverse proxy on another machine. Default: on "
            "the --listen address only.",
        ),
        click.option(
            "--webhook-url",
            envvar=f"{PREFIX}_WEBHOOK_URL",
            metavar="URL",
            help="What the Hub is told at the registration: https:// address below which its webhooks arrive here.",
        ),
        click.option(
            "--accept-v1",
            is_flag=True,
            envvar=f"{PREFIX}_ACCEPT_V1",
            help="Take webhooks under the specification's signature alone, which binds neither time nor identity: only "
            "for a Hub that knows no other.",
        ),
        click.option(
            "--diun-token-file",
            envvar=f"{PREFIX}_DIUN_TOKEN_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="File with the token that Diun sends as Authorization: Bearer; without it Diun is not listened to.",
        ),
        click.option(
            "--agent-tokens-file",
            envvar=f"{PREFIX}_AGENT_TOKENS_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="TOML file with a token for each agent (mode 0600): who asks at /gate, or reports usage or activity, "
            "then proves which agent it is. Without it a program of this machine is believed.",
        ),
        click.option(
            "--executors",
            envvar=f"{PREFIX}_EXECUTORS",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="TOML file that declares which local programs run the Hub's commands; without it only PING is taken.",
        ),
        click.option(
            "--answer",
            "answers",
            envvar=f"{PREFIX}_ANSWER",
            multiple=True,
            metavar="KIND=PROGRAM",
            help="A program that answers the Hub's live questions of a kind, as conversations=/usr/local/bin/talks. "
            "May repeat.",
        ),
        click.option(
            "--container-engine",
            envvar=f"{PREFIX}_CONTAINER_ENGINE",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="SOCKET",
            help="The container engine's Unix socket, as /run/docker.sock: containers are counted in heartbeats, and "
            "tools told with their status.",
        ),
        click.option(
            "--allow-plain-http",
            is_flag=True,
            envvar=f"{PREFIX}_ALLOW_PLAIN_HTTP",
            help="Allow http:// to a Hub on another machine: the key then travels unencrypted.",
        ),
        click.option(
            "--log-format",
            envvar=f"{PREFIX}_LOG_FORMAT",
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
        ),
        click.option("--master-key", envvar=f"{PREFIX}_MASTER_KEY", hidden=True),
        click.option("--notify-socket", envvar="NOTIFY_SOCKET", hidden=True),
        click.option("--watchdog-usec", envvar="WATCHDOG_USEC", type=click.IntRange(min=1), hidden=True),
        click.option("--watchdog-pid", envvar="WATCHDOG_PID", type=int, hidden=True),
    ]
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


@main.command()
@_common
@click.option(
    "--scripted-agents",
    type=click.FloatRange(min=0.05),
    envvar=f"{PREFIX}_SCRIPTED_AGENTS",
    metavar="SECONDS",
    help="Play scripted agents that ask for something every SECONDS on average (demo and load).",
)
@click.option(
    "--script",
    default=DEFAULT,
    show_default=True,
    envvar=f"{PREFIX}_SCRIPT",
    metavar="NAME",
    help=f"What scripted agents want: {', '.join(names())}, or a .json file of yours.",
)
def run(scripted_agents: float | None, script: str, **common: Any) -> None:
    """Register if need be, then keep the link to the Hub until SIGTERM or Ctrl-C.

    \b
    First start:  safety-wrapper run --hub https://hub.letsbe.biz --state /var/lib/letsbe \\
                    --registration-token-file /run/secrets/registration-token
    Later:        safety-wrapper run --hub https://hub.letsbe.biz --state /var/lib/letsbe
    """
    try:
        wanted = scenario(script) if scripted_agents is not None else None
    except BadScenario as error:
        raise click.UsageError(str(error)) from error
    _start(common, scripted_pace_seconds=scripted_agents, script=wanted)


@main.command()
@_common
@click.option(
    "--gateway",
    default="ws://127.0.0.1:18789",
    show_default=True,
    envvar=f"{PREFIX}_GATEWAY",
    metavar="URL",
    help="The OpenClaw gateway's WebSocket.",
)
@click.option(
    "--gateway-token",
    envvar=f"{PREFIX}_GATEWAY_TOKEN",
    metavar="TOKEN",
    help="The gateway's token; prefer the variable or the file.",
)
@click.option(
    "--gateway-token-file",
    envvar=f"{PREFIX}_GATEWAY_TOKEN_FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File that holds the gateway's token.",
)
@click.option(
    "--tool-name",
    default="exec",
    show_default=True,
    envvar=f"{PREFIX}_TOOL_NAME",
    help="The tool's name, by which the configuration's tool table gives its class; an unknown one is red.",
)
def openclaw(
    gateway: str, gateway_token: str | None, gateway_token_file: Path | None, tool_name: str, **common: Any
) -> None:
    """Run the wrapper and bridge an OpenClaw gateway: what the gateway asks, a person decides through the Hub."""
    token = _secret(gateway_token, gateway_token_file, "--gateway-token")
    try:
        address = GatewayAddress(gateway)
    except BadAddress as error:
        raise click.UsageError(str(error)) from error
    bridge = Bridge(address, token, tool_name=tool_name, randomness=SystemRandomness(), clock=SystemClock())
    _start(common, companion=bridge.run, answerers=conversation_answerers(bridge.request))


def _start(
    common: dict[str, Any],
    *,
    companion: Companion | None = None,
    answerers: dict[str, Answerer] | None = None,
    **more: Any,
) -> None:
    _configure_logs(common["log_format"])
    try:
        options = Options(
            address=HubAddress(common["hub"], allow_plain=common["allow_plain_http"]),
            state=common["state"],
            registration_token=_secret(
                common["registration_token"], common["registration_token_file"], "--registration-token"
            ),
            master_key=_secret(common["master_key"], common["master_key_file"], "--master-key"),
            listen=_host_and_port(common["listen"], "--listen"),
            webhooks=None if common["webhooks"] is None else _host_and_port(common["webhooks"], "--webhooks"),
            webhook_url=common["webhook_url"],
            accept_v1=common["accept_v1"],
            diun_token=_secret(None, common["diun_token_file"], "--diun-token"),
            agent_tokens=None
            if common["agent_tokens_file"] is None
            else read_agent_tokens(common["agent_tokens_file"]),
            executors={} if common["executors"] is None else read_declarations(common["executors"]),
            answerers={**(answerers or {}), **_programs(common["answers"])},
            container_engine=common["container_engine"],
            service_manager=ServiceManager.of(common["notify_socket"], common["watchdog_usec"], common["watchdog_pid"]),
            **more,
        )
    except BadAddress as error:
        raise click.UsageError(str(error)) from error
    except (ExecutorFileWrong, AgentTokensWrong) as error:
        raise click.ClickException(str(error)) from error
    try:
        trio.run(run_process, options, companion, strict_exception_groups=True)
    except* (CannotStart, StateFolderBusy, StateFolderUnusable, sqlite3.Error) as errors:
        raise click.ClickException(_sentence(errors)) from None


def _programs(texts: tuple[str, ...]) -> dict[str, Answerer]:
    programs: dict[str, Answerer] = {}
    for text in texts:
        kind, _, path = text.partition("=")
        if not kind or not Path(path).is_absolute():
            raise click.UsageError(f"--answer must be KIND=PROGRAM with the program's whole path, not {text!r}")
        if kind in programs:
            raise click.UsageError(f"--answer names two programs for {kind}")
        if not os.access(path, os.X_OK) or Path(path).is_dir():
            raise click.UsageError(f"--answer {text}: there is no program that may be run")
        programs[kind] = Program(kind, Path(path)).answer
    return programs


def _sentence(errors: BaseExceptionGroup[Exception]) -> str:
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    if isinstance(first, sqlite3.Error):
        return f"the journal in the state folder cannot be used: {first}"
    return str(first)


def _secret(text: str | None, path: Path | None, option: str) -> Secret | None:
    if path is not None:
        if text:
            raise click.UsageError(f"{option} and {option}-file exclude one another")
        try:
            text = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{option}-file {path} cannot be read: {error}") from error
        if not text:
            raise click.UsageError(f"{option}-file {path} is empty")
    return Secret(text) if text else None


def _host_and_port(text: str, option: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"{option} must be HOST:PORT, not {text!r}")
    return host.strip("[]"), int(port)


def _configure_logs(log_format: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    text = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    renderer: Any = structlog.processors.JSONRenderer() if log_format == "json" else text
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if log_format == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
