"""The first version that others installed, commit 91ffe62, out of `first.tar.xz`.

A clone may lack the history. `git archive 91ffe62 agent broker setup.py pyproject.toml README.md
LICENSE | xz -9e` made the file.
"""

import sys
import tarfile
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

ARCHIVE = Path(__file__).with_name("first.tar.xz")


def unpack(folder: Path) -> None:
    """Its code into a folder."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(folder, filter="data")


@cache
def contract() -> dict[str, Any]:
    """The modules of its `titik_wire` by name; here it is `first_wire`, beside today's."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "first_wire")
        _write_renamed(package)
        sys.path.insert(0, folder)
        try:
            return {
                file.stem: import_module(f"{package.name}.{file.stem}")
                for file in package.glob("[a-z]*.py")
            }
        finally:
            sys.path.remove(folder)


def _write_renamed(package: Path) -> None:
    package.mkdir()
    with tarfile.open(ARCHIVE) as tar:
        for member in tar:
            path = Path(member.name)
            content = tar.extractfile(member) if path.match("titik_wire/*.py") else None
            if content is not None:
                text = content.read().decode().replace("titik_wire", package.name)
                (package / path.name).write_text(text)
