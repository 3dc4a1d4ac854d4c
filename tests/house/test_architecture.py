"""The laws of the house that no linter knows, read from the sources themselves."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol", "actors", "controlplane", "wrapper", "migrations", "bench")
LONGEST_FILE = 400

SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEXT_ENDINGS = {".py", ".md", ".toml", ".cfg", ".ini", ".sh", ".yml", ".yaml", ".html", ".css", ".js", ".mjs", ".mako"}
TEXT_NAMES = {"Makefile", "Procfile", "run", ".gitignore"}

# Split, so that this file does not hold what it looks for.
REGISTRY_HOSTS = tuple(
    "".join(parts)
    for parts in (("pypi.", "org"), ("files.python", "hosted"), ("registry.", "npmjs"), ("proxy.golang", ".org"))
)
PLACES_OF_ONE_MACHINE = tuple(
    "".join(parts) for parts in (("/work", "/"), ("/home", "/"), ("../", "shared"), (".lib", "rary/"))
)
LATER = re.compile("|".join((r"\bTO" + "DO\\b", r"\bFIX" + "ME\\b", r"\bXX" + "X\\b", r"\bHA" + "CK\\b")))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_source = pytest.mark.parametrize("path", SOURCES, ids=name_of)
each_module = pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name_of)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def written() -> tuple[Path, ...]:
    """Every text file which git keeps or would keep."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return tuple(path for path in paths if path.is_file() and (path.suffix in TEXT_ENDINGS or path.name in TEXT_NAMES))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(tree: ast.Module) -> set[str]:
    """The modules a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_the_laws_look_at_something() -> None:
    assert len(SOURCES) > 50
    assert len(TESTS) > 20
    assert len(written()) > len(SOURCES)


@each_module
def test_a_module_opens_with_a_sentence(path: Path) -> None:
    tree = tree_of(path)
    if path.name == "__init__.py" and not tree.body:
        return
    assert ast.get_docstring(tree), "say in the first line what lives here"


@each_module
def test_a_file_is_short_enough_to_read(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE, f"{lines} lines: give a part of it a name and a file"


@each_source
def test_nothing_is_imported_inside_a_function(path: Path) -> None:
    hidden = [
        f"line {node.lineno}"
        for function in functions(tree_of(path))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden


@each_source
def test_nothing_is_imported_behind_type_checking(path: Path) -> None:
    assert "typing.TYPE_CHECKING" not in imported(tree_of(path))


@each_source
def test_the_environment_is_read_in_the_settings_alone(path: Path) -> None:
    if path == ROOT / "controlplane" / "settings.py" or path.is_relative_to(ROOT / "bench"):
        return
    names = {
        node.attr
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert not names & {"environ", "environb", "getenv", "getenvb", "putenv"}
    assert not imported(tree_of(path)) & {"os.environ", "os.getenv"}


# The database thread runs asyncio; the bench drives asyncio peers beside us.
KNOW_ASYNCIO = {
    ROOT / "controlplane" / "store" / name for name in ("database.py", "bridge.py", "transaction.py", "border.py")
}


@each_source
def test_asyncio_is_known_to_the_database_alone(path: Path) -> None:
    if path in KNOW_ASYNCIO or path.is_relative_to(ROOT / "bench"):
        return
    assert not {name for name in imported(tree_of(path)) if name.split(".")[0] == "asyncio"}


@each_source
def test_a_module_has_no_effect_when_it_is_imported(path: Path) -> None:
    """At module level: no loop, no `with`, no bare call, no global that functions rebind."""
    tree = tree_of(path)
    is_program = path.name == "__main__.py" or path.is_relative_to(ROOT / "bench")
    for node in tree.body:
        if isinstance(node, ast.With | ast.For | ast.While | ast.AsyncWith) and not is_program:
            pytest.fail(f"line {node.lineno}: something is done on import")
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not is_program:
            allowed = path.name == "env.py" or path.is_relative_to(ROOT / "controlplane" / "store" / "tables")
            assert allowed, f"line {node.lineno}: something is called on import"
    rebound = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]
    assert not rebound, f"lines {rebound}: a module has no state"


@each_source
def test_production_code_has_no_mocks(path: Path) -> None:
    assert not {name for name in imported(tree_of(path)) if name.startswith(("unittest", "pytest", "hypothesis"))}


@each_source
def test_a_name_says_what_lives_there(path: Path) -> None:
    words = set(re.split(r"[_/.]", name_of(path)))
    assert not words & {"manager", "helper", "helpers", "util", "utils", "common", "misc"}


@each_module
def test_no_test_is_skipped_without_a_condition(path: Path) -> None:
    tree = tree_of(path)
    marks: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            marks += node.decorator_list
        elif isinstance(node, ast.Assign) and any(ast.unparse(target) == "pytestmark" for target in node.targets):
            marks.append(node.value)
    unconditional = [mark.lineno for mark in marks if re.search(r"mark\.(skip|xfail)\b(?!if)", ast.unparse(mark))]
    assert not unconditional, f"lines {unconditional}: a test that never runs proves nothing"


@pytest.mark.parametrize("path", [path for path in TESTS if path.name.startswith("test_")], ids=name_of)
def test_no_test_sleeps_on_the_wall_clock(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep":
            owner = node.func.value
            assert not (isinstance(owner, ast.Name) and owner.id == "time"), f"line {node.lineno}: await an event"


def test_every_test_folder_has_tests() -> None:
    folders = {path.parent for path in TESTS}
    empty = [name_of(folder) for folder in folders if not any(folder.rglob("test_*.py"))]
    assert not empty


def test_test_files_have_names_of_their_own_or_packages() -> None:
    """Two files of one name need `__init__.py` beside them, or pytest takes one for the other."""
    seen: dict[str, Path] = {}
    for path in TESTS:
        if path.name.startswith("test_") and not (path.parent / "__init__.py").exists():
            assert path.name not in seen, f"{name_of(path)} and {name_of(seen[path.name])}"
            seen[path.name] = path


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in written()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if LATER.search(line)
    ]
    assert not found


@pytest.mark.parametrize("words", [REGISTRY_HOSTS, PLACES_OF_ONE_MACHINE], ids=["registry hosts", "machine paths"])
def test_the_repository_names_no_place_outside_itself(words: tuple[str, ...]) -> None:
    found = [
        f"{name_of(path)}: {word}"
        for path in written()
        for text in [path.read_text(encoding="utf-8")]
        for word in words
        if word in text
    ]
    assert not found


def test_imports_go_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


# The names operators may set already, whose readers are still to come. An entry that is read must leave this list.
AWAITED_SETTINGS: set[str] = set()


def test_every_setting_is_used() -> None:
    """A setting that nothing reads is a promise nobody keeps."""
    declared = tree_of(ROOT / "controlplane" / "settings.py")
    fields = {
        node.target.id
        for entry in declared.body
        if isinstance(entry, ast.ClassDef) and entry.name == "Settings"
        for node in entry.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert len(fields) > 10
    read = {node.attr for path in SOURCES for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    assert fields - read == AWAITED_SETTINGS


def test_dependencies_are_locked_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {match[1].lower() for match in re.finditer(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)}
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9_.-]", entry)[0].lower().replace("_", "-") for entry in wanted}
    assert names <= locked
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock):
        if re.match(r"[A-Za-z0-9_.-]+==", entry):
            assert "--hash=sha256:" in entry, entry.splitlines()[0]
