"""Takes the console's libraries (and axe-core for its tests) from npm, made loadable without a build step.

`python tools/vendor_console.py` fetches the pinned versions with `npm pack`, rewrites bare import specifiers to
the neighbouring file, drops source map references and writes a manifest with versions and hashes beside the files.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a package and what it is called here."""

    package: str
    version: str
    source: str
    served: str
    licence: str = "LICENSE"


CONSOLE: Final = (
    Part("preact", "11.2.0", "dist/preact.mjs", "preact.mjs"),
    Part("preact", "11.2.0", "hooks/dist/hooks.mjs", "hooks.mjs"),
    Part("htm", "3.1.1", "dist/htm.mjs", "htm.mjs"),
    Part("@preact/signals-core", "1.14.5", "dist/signals-core.mjs", "signals-core.mjs"),
    Part("@preact/signals", "2.11.4", "dist/signals.mjs", "signals.mjs"),
)
AXE: Final = (Part("axe-core", "4.14.1", "axe.min.js", "axe.min.js"),)
SPECIFIERS: Final = {
    "preact": "./preact.mjs",
    "preact/hooks": "./hooks.mjs",
    "htm": "./htm.mjs",
    "@preact/signals-core": "./signals-core.mjs",
    "@preact/signals": "./signals.mjs",
}
_IMPORT: Final = re.compile(r"""((?:\bfrom|\bimport)\s*)(["'])([^"'./][^"']*)\2""")
_SOURCE_MAP: Final = re.compile(r"\n?//# sourceMappingURL=\S+\s*$")


def rewrite(text: str) -> str:
    """A module whose bare specifiers name the files beside it.

    Raises:
        KeyError: it imports a package that is not vendored.
    """
    text = _IMPORT.sub(lambda match: f"{match[1]}{match[2]}{SPECIFIERS[match[3]]}{match[2]}", text)
    return _SOURCE_MAP.sub("\n", text)


def vendor(parts: tuple[Part, ...], folder: Path) -> None:
    """Fetch the parts, write them and their manifest into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest, licences = [], []
    with tempfile.TemporaryDirectory() as temporary:
        packages: dict[str, Path] = {}
        for part in parts:
            if part.package not in packages:
                packages[part.package] = _fetch(part, Path(temporary))
                licence = (packages[part.package] / part.licence).read_text()
                licences.append(f"{part.package} {part.version}\n\n{licence.strip()}\n")
            source = (packages[part.package] / part.source).read_bytes()
            served = rewrite(source.decode()).encode() if part.served.endswith(".mjs") else source
            (folder / part.served).write_bytes(served)
            manifest.append(
                {
                    "served": part.served,
                    "package": part.package,
                    "version": part.version,
                    "source": part.source,
                    "sourceSha256": hashlib.sha256(source).hexdigest(),
                    "servedSha256": hashlib.sha256(served).hexdigest(),
                }
            )
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    (folder / "LICENSES.txt").write_text("\n----\n\n".join(licences))


def _fetch(part: Part, folder: Path) -> Path:
    """Download and unpack one package; npm checks the registry's integrity hash itself."""
    packed = subprocess.run(  # noqa: S603 - the command is all ours
        ["npm", "pack", "--silent", f"{part.package}@{part.version}"],  # noqa: S607 - npm of whoever develops
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[-1]
    target = folder / packed.removesuffix(".tgz")
    with tarfile.open(folder / packed) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


if __name__ == "__main__":
    vendor(CONSOLE, ROOT / "controlplane" / "console" / "vendor")
    vendor(AXE, ROOT / "tests" / "browser" / "vendor")
