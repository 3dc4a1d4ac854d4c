"""Running `hub` as a person does: a process of its own, with an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """Where a Hub may put its state; short, for the path of PostgreSQL's socket."""
    with tempfile.TemporaryDirectory(prefix="hub-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "state"


@pytest.fixture
def hub(state_dir: Path, tmp_path: Path) -> Run:
    """`hub("migrate", "--check", HUB_BIND="…", given="standard input")`, in an empty folder."""

    def run(*arguments: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "DATABASE_", "PORT"))}
        return subprocess.run(
            [sys.executable, "-m", "controlplane", *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
            env={**kept, "HUB_STATE_DIR": str(state_dir), "PYTHONIOENCODING": "utf-8", **environment},
        )

    return run
