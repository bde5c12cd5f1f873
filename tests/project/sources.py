"""Our own Python files, and what each of them imports."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "titik_wire": ROOT / "agent" / "titik_wire",
    "titik_mqtt": ROOT / "agent" / "titik_mqtt",
    "titik_agent": ROOT / "agent" / "titik_agent",
    "titik_collector": ROOT / "broker" / "titik_collector",
}


def files(package: str) -> list[Path]:
    """Every Python file of one of our packages."""
    return sorted(PACKAGES[package].rglob("*.py"))


def everything() -> list[Path]:
    """Every Python file of the project."""
    folders = ("agent", "broker", "bench", "tests", "tools")
    return [ROOT / "setup.py", *(one for name in folders for one in (ROOT / name).rglob("*.py"))]


@cache
def imports(file: Path) -> frozenset[str]:
    """What a file names in its import statements, wherever they stand."""
    return frozenset(_imports(nodes(file)))


def imports_at_start(file: Path) -> frozenset[str]:
    """The same without what its functions import when they are called."""
    return frozenset(_imports(tree(file).body))


@cache
def tree(file: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(file.read_text())


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """All of the file's tree; to walk it takes as long as to parse it."""
    return tuple(ast.walk(tree(file)))


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that a reader finds the file"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tops(file: Path) -> set[str]:
    """The same, first part only."""
    return {name.split(".")[0] for name in imports(file)}


def who_imports(package: str, wanted: str) -> set[str]:
    """Which files of a package import `wanted`, by their path in it."""
    folder = PACKAGES[package]
    return {str(one.relative_to(folder)) for one in files(package) if wanted in tops(one)}
