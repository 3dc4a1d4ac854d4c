"""The executor file: what may stand in it, what is refused and named, and what a payload may put on a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocol.faults import ValidationError
from wrapper.executors.declaration import ENVIRONMENT, Declaration, ExecutorFileWrong, read_declarations
from wrapper.executors.output import BoundedOutput

GOOD = """
[commands.RESTART_SERVICE]
program = ["/bin/echo", "restart", "{service}", "{times}"]
limit_seconds = 12.5
idempotent = true
environment = {HOME = "/root"}

[commands.RESTART_SERVICE.fields.service]
allowed = ["ghost.service", "--all"]

[commands.RESTART_SERVICE.fields.times]
pattern = "[a-z0-9-]+"
default = "1"

[commands.UPDATE_CONFIG]
program = ["/bin/cat"]
payload_on_stdin = true
"""


def read(folder: Path, text: str) -> dict[str, Declaration]:
    path = folder / "executors.toml"
    path.write_text(text)
    return read_declarations(path)


def complaints(declaration: Declaration, payload: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        declaration.arguments(payload)
    return [f"{problem.field}: {problem.message}" for problem in caught.value.details]


def test_a_good_file(tmp_path: Path):
    found = read(tmp_path, GOOD)
    restart, update = found["RESTART_SERVICE"], found["UPDATE_CONFIG"]
    assert (restart.limit_seconds, restart.idempotent, restart.payload_on_stdin) == (12.5, True, False)
    assert restart.environment == {**ENVIRONMENT, "HOME": "/root"}
    assert (update.idempotent, update.payload_on_stdin, update.folder) == (False, True, "/")
    assert update.arguments({"anything": [1, {"at": "all"}]}) == ["/bin/cat"]


def test_fields_stand_for_whole_arguments(tmp_path: Path):
    restart = read(tmp_path, GOOD)["RESTART_SERVICE"]
    assert restart.arguments({"service": "ghost.service"}) == ["/bin/echo", "restart", "ghost.service", "1"]
    assert restart.arguments({"service": "--all", "times": 3}) == ["/bin/echo", "restart", "--all", "3"]


@pytest.mark.parametrize("payload", [None, [], "ghost.service", 7])
def test_a_payload_is_an_object(tmp_path: Path, payload: Any):
    assert complaints(read(tmp_path, GOOD)["RESTART_SERVICE"], payload) == ["payload: must be an object"]


@pytest.mark.parametrize(
    "value",
    ["x;reboot", "$(reboot)", "`reboot`", "a b", "a\nb", "a\n", "", "-rf", "a\x00", "../etc", "ä", "x" * 5000, -5],
)
def test_a_hostile_value_reaches_no_command_line(tmp_path: Path, value: Any):
    (complaint,) = complaints(read(tmp_path, GOOD)["RESTART_SERVICE"], {"service": "ghost.service", "times": value})
    assert complaint.startswith("payload.times: must")


@pytest.mark.parametrize("value", [None, True, 1.5, ["a"], {"a": 1}])
def test_a_value_is_text_or_a_whole_number(tmp_path: Path, value: Any):
    (complaint,) = complaints(read(tmp_path, GOOD)["RESTART_SERVICE"], {"service": "ghost.service", "times": value})
    assert complaint in ("payload.times: must be text or a whole number", "payload.times: is required")


def test_every_bad_field_of_a_payload_is_named(tmp_path: Path):
    found = complaints(read(tmp_path, GOOD)["RESTART_SERVICE"], {"service": "nginx", "times": "A", "more": 1})
    assert found == [
        "payload.service: must be one of --all, ghost.service",
        "payload.times: must match [a-z0-9-]+",
        "payload.more: is unknown",
    ]
    assert complaints(read(tmp_path, GOOD)["RESTART_SERVICE"], {}) == ["payload.service: is required"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "commands: declare at least one"),
        ("[commands]", "commands: declare at least one"),
        ("commands = 7", "commands: declare at least one"),
        ("[command.X]", "command: is unknown"),
        ("[commands.X", "is not TOML"),
        ("[commands.lower]\nprogram = ['/bin/echo']", "commands.lower: a command's type is written as"),
        ("[commands.PING]\nprogram = ['/bin/echo']", "commands.PING: PING is the wrapper's own"),
        ("[commands.X]", "commands.X.program: is required"),
        ("[commands]\nX = 1", "commands.X: must be an object"),
        ("[commands.X]\nprogram = 'echo'", "commands.X.program: must be `array`, got `str`"),
        ("[commands.X]\nprogram = []", "commands.X.program: must be `array` of length >= 1"),
        ("[commands.X]\nprogram = ['echo']", "commands.X.program[0]: must be an absolute path"),
        ("[commands.X]\nprogram = ['/nonexistent']", "commands.X.program[0]: /nonexistent is not a program"),
        ("[commands.X]\nprogram = ['/etc/passwd']", "commands.X.program[0]: /etc/passwd is not a program"),
        ("[commands.X]\nprogram = ['/bin/echo', '{a}']", "commands.X.program[1]: {a} is not declared"),
        (
            "[commands.X]\nprogram = ['/bin/echo', '--to={a}']\n[commands.X.fields.a]\npattern = 'x'",
            "commands.X.program[1]: a payload field stands for a whole argument only",
        ),
        ("[commands.X]\nprogram = ['/bin/echo']\nlimit_seconds = 0", "commands.X.limit_seconds: must be `float` > 0"),
        ("[commands.X]\nprogram = ['/bin/echo']\nidempotent = 'no'", "commands.X.idempotent: must be `bool`"),
        ("[commands.X]\nprogram = ['/bin/echo']\nfolder = '/nonexistent'", "commands.X.folder: /nonexistent is not"),
        ("[commands.X]\nprogram = ['/bin/echo']\nfolder = 'tmp'", "commands.X.folder: tmp is not"),
        ("[commands.X]\nprogram = ['/bin/echo']\nshell = true", "commands.X.shell: is unknown"),
        (
            "[commands.X]\nprogram = ['/bin/echo']\nenvironment = {'A B' = '1'}",
            "commands.X.environment.A B: is not a variable",
        ),
        (
            "[commands.X]\nprogram = ['/bin/echo']\nenvironment = {SAFETY_WRAPPER_COMMAND = '1'}",
            "commands.X.environment.SAFETY_WRAPPER_COMMAND: is not a variable",
        ),
        (
            "[commands.X]\nprogram = ['/bin/echo']\n[commands.X.fields.a]",
            "commands.X.fields.a: give either pattern or allowed",
        ),
        (
            "[commands.X]\nprogram = ['/bin/echo']\n[commands.X.fields.a]\npattern = '('",
            "commands.X.fields.a.pattern: is not a regular expression",
        ),
        (
            "[commands.X]\nprogram = ['/bin/echo']\n[commands.X.fields.a]\npattern = 'x'\ndefault = 'y'",
            "commands.X.fields.a.default: must match x",
        ),
        (
            "[commands.X]\nprogram = ['/bin/echo']\n[commands.X.fields.a]\nallowed = [1]",
            "commands.X.fields.a.allowed[0]: must be `str`",
        ),
    ],
)
def test_a_wrong_file_is_told_by_file_table_and_field(tmp_path: Path, text: str, words: str):
    with pytest.raises(ExecutorFileWrong) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "executors.toml"))
    assert words in str(caught.value)


def test_all_that_is_wrong_in_a_file_is_told_at_once(tmp_path: Path):
    with pytest.raises(ExecutorFileWrong) as caught:
        read(tmp_path, "[commands.X]\nprogram = 1\nidempotent = 2\n[commands.Y]\nfolder = 'tmp'")
    for field in ("commands.X.program", "commands.X.idempotent", "commands.Y.program"):
        assert field in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(ExecutorFileWrong, match="cannot be read: No such file"):
        read_declarations(tmp_path / "none.toml")


# --- output ------------------------------------------------------------------------------------------------


def test_little_output_is_kept_whole():
    output = BoundedOutput(10)
    for part in (b"abc", b"defg", b"hij"):
        output.add(part)
    assert output.text() == "abcdefghij"


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_of_much_output_the_middle_is_left_out(size: int):
    output, whole = BoundedOutput(1000), bytes(ord("a") + n % 26 for n in range(100_000))
    for start in range(0, len(whole), size):
        output.add(whole[start : start + size])
    text = whole.decode()
    assert output.text() == f"{text[:500]}\n… 99,000 bytes left out …\n{text[-500:]}"


def test_bytes_that_are_no_text_are_replaced():
    output = BoundedOutput(10)
    output.add(b"\xff\xfe ok")
    assert output.text() == "\N{REPLACEMENT CHARACTER}" * 2 + " ok"
