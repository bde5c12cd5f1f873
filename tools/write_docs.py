"""Writes the generated parts of docs/ anew: `make docs`. A test fails when they are not current."""

from pathlib import Path

from tools import asyncapi, tables

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Write both files."""
    for path, text in current().items():
        path.write_text(text)


def current() -> dict[Path, str]:
    """What the files should hold now."""
    wire = DOCS / "wire.md"
    return {DOCS / "asyncapi.json": asyncapi.text(), wire: tables.refreshed(wire.read_text())}


if __name__ == "__main__":
    main()
