"""The files of a cell's machines, as docs/high-availability.md shows them.

Rule: what is played is what the page shows; only the placeholders are filled in.
"""

import re
import secrets
from pathlib import Path
from typing import NamedTuple

SHOWN = Path(__file__).parents[2] / "deploy" / "high-availability"
PLACEHOLDER = re.compile(r"\b[A-Z]+-PASSWORD\b")


class Host(NamedTuple):
    """A line of the hosts."""

    address: str
    name: str


def hosts() -> list[Host]:
    """The machines, and the name that moves between them."""
    lines = (SHOWN / "hosts").read_text().splitlines()
    return [Host(*line.split()) for line in lines if not line.startswith("#")]


def hosts_file() -> str:
    """As whoever knows these names has it in /etc."""
    return f"127.0.0.1 localhost\n{(SHOWN / 'hosts').read_text()}"


def machines() -> list[Host]:
    """Without that name."""
    return [one for one in hosts() if "." not in one.name]


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
