"""Writes the generated parts of docs/: `make docs`. A test fails when they are not current."""

from pathlib import Path

from titik_collector.web.api import openapi
from tools import asyncapi, tables

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Write every file."""
    for path, text in current().items():
        path.write_text(text)


def current() -> dict[Path, str]:
    """What the files should hold now."""
    pages = [
        DOCS / f"{name}.md"
        for name in (
            "alerts",
            "architecture",
            "config",
            "fleet",
            "high-availability",
            "operating",
            "routers",
            "size",
            "wire",
        )
    ]
    tabled = {page: tables.refreshed(page.read_text()) for page in pages}
    programs = {DOCS / "asyncapi.json": asyncapi.text(), DOCS / "openapi.json": openapi.text()}
    return {**programs, **tabled}


if __name__ == "__main__":
    main()
