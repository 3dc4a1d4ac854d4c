"""RFC 6455 by the Autobahn test suite: its cases 1 to 7, 9 and 10, played against our echo server."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "autobahn"
SDIST = "autobahntestsuite-25.10.1.tar.gz"
REQUIREMENTS = HERE / "requirements.txt"
CASES = 301


@pytest.fixture(scope="module")
def cases_folder(tmp_path_factory):
    """The case definitions in Python 3: the source package by pip, checked by its hash, and converted anew."""
    if sys.version_info >= (3, 13):
        pytest.skip("the Autobahn cases are Python 2, and lib2to3, which converts them, left Python with 3.13")
    if not is_cached():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
        command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
        command += ["--dest", str(CACHE), "--requirement", str(REQUIREMENTS)]
        run(command)
    folder = tmp_path_factory.mktemp("autobahn")
    run([sys.executable, "-W", "ignore", str(HERE / "convert.py"), str(CACHE / SDIST), str(folder)])
    return folder


@pytest.fixture(scope="module")
def echo_port():
    """Our echo server, started as a user would."""
    command = [sys.executable, str(ROOT / "bench" / "echo_server.py"), "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            found = re.fullmatch(r"listening on ws://127\.0\.0\.1:(\d+)/\n", line)
            assert found, line
            yield int(found[1])
        finally:
            server.terminate()


def is_cached() -> bool:
    """Whether the source package is here, and is the one that the requirements name."""
    sdist = CACHE / SDIST
    return sdist.exists() and hashlib.sha256(sdist.read_bytes()).hexdigest() in REQUIREMENTS.read_text()


def run(command: list[str]) -> str:
    """Run to the end and return what was printed; fail with what went wrong."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_no_case_fails_and_no_close_code_is_wrong(cases_folder, echo_port, capsys):
    output = run([sys.executable, str(HERE / "run_cases.py"), str(cases_folder), str(echo_port)])
    verdicts = [json.loads(line) for line in output.splitlines()]
    behaviors = Counter(verdict["behavior"] for verdict in verdicts)
    closes = Counter(verdict["close"] for verdict in verdicts)
    with capsys.disabled():
        print(f"\nAutobahn: {len(verdicts)} cases, behavior {dict(behaviors)}, close {dict(closes)}")
    wrong = [
        verdict
        for verdict in verdicts
        if verdict["behavior"] not in ("OK", "NON-STRICT", "INFORMATIONAL")
        or verdict["close"] not in ("OK", "INFORMATIONAL")
    ]
    assert not wrong, json.dumps(wrong, indent=2)
    assert len(verdicts) == CASES
