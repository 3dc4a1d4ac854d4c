"""Answers to the Hub's live questions, and why there is none: params read, programs asked, refusals with a code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog
import trio

from protocol.faults import ValidationError
from protocol.queries import CONVERSATION, CONVERSATIONS, TOOLS
from protocol.tenant import FRAME_LIMIT_BYTES, Unanswered
from wrapper.reading import read_fields

log = structlog.get_logger()

P = TypeVar("P", bound=msgspec.Struct)

#: Answers one kind of question; returns any JSON value.
Answerer = Callable[[dict[str, Any]], Awaitable[Any]]

#: What a program may print; with the frame around it still below what a frame may be.
OUTPUT_BYTES: Final = FRAME_LIMIT_BYTES - 16 * 1024
ERROR_BYTES: Final = 4096
#: A program ends with this when there is no such thing: sysexits' EX_NOINPUT.
NOT_FOUND_STATUS: Final = 66
GRACE_SECONDS: Final = 2.0
_READ_BYTES: Final = 64 * 1024
#: Nothing of the wrapper's own, which holds keys.
_ENVIRONMENT: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class NoAnswer(Exception):
    """A question that cannot be answered.

    Args:
        code: one of `Unanswered`.
        words: why, for whoever asked.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


def params_of(params: dict[str, Any], wanted: type[P]) -> P:
    """Read a question's params; what a newer Hub says besides is ignored.

    Raises:
        NoAnswer: naming every bad one.
    """
    known = {field.encode_name for field in msgspec.structs.fields(wanted)}
    try:
        return read_fields({name: value for name, value in params.items() if name in known}, wanted)
    except ValidationError as error:
        raise NoAnswer(Unanswered.BAD_PARAMS, error.message) from error


def not_configured(what: str, how: str) -> Answerer:
    """Answers that nothing here can answer, and what would."""

    async def refuse(_: dict[str, Any]) -> Any:
        raise NoAnswer(Unanswered.NOT_CONFIGURED, f"nothing on this server tells of {what}; {how}")

    return refuse


def unconfigured() -> dict[str, Answerer]:
    """What is answered to questions that need something beside the wrapper, where there is nothing."""
    conversations = not_configured(
        "conversations", "run `safety-wrapper openclaw` there, or name a program with --answer conversations=PROGRAM"
    )
    tools = not_configured("its tools", "give its wrapper --container-engine, or --answer tools=PROGRAM")
    return {CONVERSATIONS: conversations, CONVERSATION: conversations, TOOLS: tools}


class Program:
    """Asks a local program: the question as one JSON object on its standard input, the answer as JSON on its output.

    It ends with 0 when it has answered, with 66 when there is no such thing, with anything else when it failed: the
    last line of its standard error then says why.

    Args:
        kind: what is asked.
        path: the program; started without a shell, without arguments, in a process group of its own.
    """

    def __init__(self, kind: str, path: Path) -> None:
        self._kind = kind
        self._path = path

    async def answer(self, params: dict[str, Any]) -> Any:
        """Answer one question; cancelled, the program and what it started are ended.

        Raises:
            NoAnswer: it cannot be started, failed, or answered with something else than JSON.
        """
        question = msgspec.json.encode({"kind": self._kind, "params": params})
        try:
            process = await trio.lowlevel.open_process(
                [str(self._path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
                start_new_session=True,
            )
        except OSError as error:
            log.error("query.program_broken", kind=self._kind, reason=str(error))
            raise NoAnswer(Unanswered.FAILED, "the program that answers this cannot be started") from error
        try:
            output, error_text = await self._converse(process, question)
        finally:
            await _end(process)
        if len(output) > OUTPUT_BYTES:
            log.error("query.answer_too_large", kind=self._kind, limit_bytes=OUTPUT_BYTES)
            raise NoAnswer(Unanswered.FAILED, f"the answer is larger than {OUTPUT_BYTES} bytes")
        return self._judge(process.returncode, output, error_text)

    async def _converse(self, process: trio.Process, question: bytes) -> tuple[bytes, str]:
        output, errors = bytearray(), bytearray()
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None

        async def ask() -> None:
            with contextlib.suppress(trio.BrokenResourceError):  # it answers without reading the question
                async with stdin:
                    await stdin.send_all(question)

        async def hear_errors() -> None:
            async with stderr:
                async for data in stderr:
                    errors.extend(data)
                    del errors[:-ERROR_BYTES]

        async with trio.open_nursery() as nursery, stdout:
            nursery.start_soon(ask)
            nursery.start_soon(hear_errors)
            while len(output) <= OUTPUT_BYTES and (data := await stdout.receive_some(_READ_BYTES)):
                output += data
            if len(output) > OUTPUT_BYTES:
                nursery.cancel_scope.cancel()
            await process.wait()
            # Something it left behind may hold its standard error open.
            nursery.cancel_scope.deadline = trio.current_time() + GRACE_SECONDS
        return bytes(output), errors.decode("utf-8", "replace")

    def _judge(self, status: int | None, output: bytes, errors: str) -> Any:
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        words = lines[-1] if lines else ""
        if status == NOT_FOUND_STATUS:
            raise NoAnswer(Unanswered.NOT_FOUND, words or "there is no such thing")
        if status != 0:
            log.error("query.program_failed", kind=self._kind, status=status, reason=words)
            raise NoAnswer(Unanswered.FAILED, words or f"the program that answers this ended with {status}")
        try:
            return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(output)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.error("query.answer_unreadable", kind=self._kind, reason=str(error))
            raise NoAnswer(Unanswered.FAILED, "the program that answers this did not answer with JSON") from error


async def _end(process: trio.Process) -> None:
    """End a program that has not ended by itself: TERM to its whole group, KILL after a grace."""
    if process.returncode is not None:
        return
    with trio.CancelScope(shield=True):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with trio.move_on_after(GRACE_SECONDS):
                await process.wait()
                return
        log.error("query.program_stays", process=process.pid)
