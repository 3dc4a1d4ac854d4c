"""The real wrapper as a process of its own, on a state folder that outlives it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

PROGRAM = "tests.fault.wrapper_program"
#: The steps of a command that ran once and whole, and what the wrapper tells of one it must not run again.
DONE = [("begun", 1), ("acted", 1)]
INTERRUPTED = "interrupted, outcome unknown"


def check_kept_to_its_kind(kind: str, ended: dict[str, Any], steps: list[tuple[str, int]]) -> None:
    """Whatever was killed when: AGAIN runs to its end, ONCE runs once or is told as interrupted."""
    runs = {run for _, run in steps}
    if kind == "AGAIN":
        assert ended["status"] == "SUCCEEDED"
        assert steps[-2:] == [("begun", max(runs)), ("acted", max(runs))]
    elif ended["status"] == "SUCCEEDED":
        assert steps == DONE
    else:
        assert ended["output"] == INTERRUPTED
        assert runs <= {1}
        assert len(steps) == len(set(steps))


class WrapperProcess:
    """One wrapper.

    Args:
        folder: where its state and its log are.
        module: `wrapper.cli` for the program as it is installed.
    """

    def __init__(self, folder: Path, module: str = PROGRAM) -> None:
        self.state = folder / "wrapper"
        self.log = folder / "wrapper.log"
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, url: str, token: str | None = None, *, pace_seconds: float = 86_400, options: Sequence[str] = ()
    ) -> None:
        assert self._process is None
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAFETY_WRAPPER")}
        given = {} if token is None else {"SAFETY_WRAPPER_REGISTRATION_TOKEN": token}
        usual = ["--hub", url, "--state", str(self.state), "--listen", "127.0.0.1:0", "--log-format", "json"]
        code = f"from {self._module} import main; main(prog_name='safety-wrapper')"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, "run", *usual, "--scripted-agents", str(pace_seconds), *options],
                stdout=log,
                stderr=log,
                env={**kept, **given, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    def kill(self) -> None:
        """kill -9, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def running(self) -> bool:
        """Whether it runs, as it must until it is told or killed."""
        assert self._process is not None
        assert self._process.poll() is None, f"the wrapper ended by itself ({self._process.returncode})"
        return True

    def terminate(self) -> int:
        """SIGTERM; its exit status."""
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(timeout=15)
        self._process = None
        return status

    # --- what it left on its disk ------------------------------------------------------------------------

    def effects(self) -> list[dict[str, Any]]:
        """What its commands and agents did, in order."""
        path = self.state / "effects.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def steps(self, command_id: str) -> list[tuple[str, int]]:
        """The steps of a command: name and run."""
        return [(one["step"], one["attempt"]) for one in self.effects() if one.get("command") == command_id]

    def journal(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of its journal, read beside it."""
        path = self.state / "journal.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def journal_held(self) -> Iterator[None]:
        """Nothing can be journalled meanwhile: the disk takes its time."""
        with closing(sqlite3.connect(self.state / "journal.sqlite", isolation_level=None)) as disk:
            disk.execute("BEGIN IMMEDIATE")
            yield
            disk.execute("ROLLBACK")
