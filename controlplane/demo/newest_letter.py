"""Prints the newest letter of the demo's mail folder as a reader would show it: `python -m … FOLDER`."""

from __future__ import annotations

import email
import sys
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Final

#: Of the letters of earlier starts, so many are kept.
KEPT: Final = 500


def letters(folder: Path) -> list[Path]:
    """The letters of a folder, oldest first: their names begin with their date."""
    return sorted(folder.glob("*.eml"))


def forget_old(folder: Path) -> None:
    """Keep the newest letters alone."""
    for path in letters(folder)[:-KEPT]:
        path.unlink(missing_ok=True)


def shown(path: Path) -> str:
    """Who gets it, what it is about, its text, and where it lies."""
    letter = email.message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=policy.default)
    body = letter.get_body(preferencelist=("plain",))
    text = "" if body is None else str(body.get_content()).strip()
    return f"To: {letter['To']}\nSubject: {letter['Subject']}\n\n{text}\n\n({path})"


def main(folder: Path) -> int:
    """Print the newest; the exit status."""
    found = letters(folder)
    if not found:
        print(f"no letter yet in {folder}: the first comes when a question has waited for half a minute")
        return 1
    print(shown(found[-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
