"""The files of a cell's machines, as docs/high-availability.md shows them.

Rule: what is played is what the page shows; only the placeholders are filled in.
"""

import re
import secrets
from pathlib import Path

SHOWN = Path(__file__).parents[2] / "deploy" / "high-availability"
PLACEHOLDER = re.compile(r"\b[A-Z]+-PASSWORD\b")


def addresses() -> dict[str, str]:
    """Of each machine, by its name."""
    lines = (SHOWN / "hosts").read_text().splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return {name: address for address, name in pairs}


class Files:
    """Of one cell, whose passwords are its own."""

    def __init__(self) -> None:
        self._passwords: dict[str, str] = {}

    def text(self, file: str, machine: str) -> str:
        """What the machine has in it."""
        shown = re.sub(r"\bNAME\b", machine, (SHOWN / file).read_text())
        return PLACEHOLDER.sub(lambda found: self.password(found[0]), shown)

    def password(self, placeholder: str) -> str:
        """In its place."""
        return self._passwords.setdefault(placeholder, secrets.token_hex(12))
