"""Runs one declared program for a command: no shell, a group of its own, a time limit that ends all of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import trio

from protocol.faults import ValidationError
from wrapper.commands import CommandCall, CommandFailed, CommandRejected, CommandTimedOut, Executor
from wrapper.executors.declaration import MARK, Declaration
from wrapper.executors.leftovers import Leftovers
from wrapper.executors.output import BoundedOutput

#: Between TERM and KILL.
GRACE_SECONDS: Final = 5.0
#: A program may leave a service behind that holds its output open: what comes then is not waited for.
_DRAIN_SECONDS: Final = 1.0
_READ_BYTES: Final = 64 * 1024


def program_executors(declarations: Mapping[str, Declaration], leftovers: Leftovers) -> dict[str, Executor]:
    """What runs the declared commands."""
    return {name: _executor(declaration, leftovers) for name, declaration in declarations.items()}


def _executor(declaration: Declaration, leftovers: Leftovers) -> Executor:
    def check(payload: Any) -> None:
        try:
            declaration.arguments(payload)
        except ValidationError as error:
            problems = "; ".join(f"{problem.field}: {problem.message}" for problem in error.details)
            raise CommandRejected(problems) from error

    async def run(call: CommandCall) -> str:
        return await _run(declaration, call, leftovers.mark(call.id))

    # The program's own limit ends it with its output; this one is for a kernel that does not let it go.
    limit_seconds = declaration.limit_seconds + 2 * GRACE_SECONDS + _DRAIN_SECONDS
    return Executor(run, idempotent=declaration.idempotent, limit_seconds=limit_seconds, check=check)


async def _run(declaration: Declaration, call: CommandCall, mark: str) -> str:
    """Run it to its end.

    Raises:
        CommandFailed: it could not be started, or ended with anything but 0.
        CommandTimedOut: it was stopped at its limit.
    """
    output = BoundedOutput(declaration.output_bytes)
    try:
        process = await trio.lowlevel.open_process(
            declaration.arguments(call.payload),
            stdin=subprocess.PIPE if declaration.payload_on_stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=declaration.folder,
            env={**declaration.environment, MARK: mark},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{declaration.program[0]} cannot be started: {error}") from error
    ended = False
    try:
        with trio.move_on_after(declaration.limit_seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_read, process, output)
                if declaration.payload_on_stdin:
                    nursery.start_soon(_write, process, msgspec.json.encode(call.payload))
                await process.wait()
                ended = True
                nursery.cancel_scope.deadline = trio.current_time() + _DRAIN_SECONDS
    finally:
        with trio.CancelScope(shield=True):
            if not ended:
                await _stop(process, output)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    await trio.aclose_forcefully(stream)
    if not ended:
        raise CommandTimedOut(_told(output, f"stopped after {declaration.limit_seconds:g} s"))
    if process.returncode != 0:
        raise CommandFailed(_told(output, _ending(process.returncode)))
    return output.text()


async def _read(process: trio.Process, output: BoundedOutput) -> None:
    assert process.stdout is not None
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while data := await process.stdout.receive_some(_READ_BYTES):
            output.add(bytes(data))


async def _write(process: trio.Process, data: bytes) -> None:
    assert process.stdin is not None
    # A program need not read what it is told.
    with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await process.stdin.send_all(data)
        await process.stdin.aclose()


async def _stop(process: trio.Process, output: BoundedOutput) -> None:
    """End the program's whole group: TERM, and KILL for whoever is still there after the grace.

    The program is not reaped before the last signal: until then its number, which is the group's, is nobody else's.
    """
    _signal_group(process, signal.SIGTERM)
    with trio.move_on_after(GRACE_SECONDS):
        async with trio.open_nursery() as nursery:
            # The output ends when all who could write to it are gone.
            nursery.start_soon(_read, process, output)
            descriptor = os.pidfd_open(process.pid)
            try:
                await trio.lowlevel.wait_readable(descriptor)
            finally:
                os.close(descriptor)
    _signal_group(process, signal.SIGKILL)
    with trio.move_on_after(GRACE_SECONDS):
        await process.wait()


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    # No permission: all that is left of it has become another user's.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"ended by signal {-code} ({signal.strsignal(-code) or 'unknown'})"
    return f"ended with exit code {code}"


def _told(output: BoundedOutput, ending: str) -> str:
    text = output.text().rstrip("\n")
    return f"{text}\n{ending}" if text else ending
