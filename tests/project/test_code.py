"""How the code reads, as far as a machine can see."""

import ast
import re
from pathlib import Path

import pytest

from tests.project.sources import ROOT, everything, files, nodes

LAZY = ("map", "filter", "zip")
# What a page shows at one moment. `expect` of Playwright waits until it is so.
LOOKS = {
    "count", "inner_text", "is_checked", "is_disabled", "is_enabled", "is_hidden", "is_visible",
}  # fmt: skip
DOCSTRING = re.compile(r'(#.*\n|\n)*"""\S')  # parsing every file takes a second

# A module is named for the noun it holds; these name nothing.
EMPTY_NAMES = {"utils", "util", "helpers", "common", "manager", "handler", "base", "core", "misc"}


def test_every_module_says_its_one_idea() -> None:
    """A file that holds code begins with a docstring."""
    silent = [
        str(file.relative_to(ROOT))
        for file in everything()
        if file.stat().st_size and not DOCSTRING.match(file.read_text())
    ]
    assert silent == []


def test_no_module_is_a_drawer() -> None:
    """`utils` and its like say nothing about what is inside."""
    assert [file.name for file in everything() if file.stem in EMPTY_NAMES] == []


@pytest.mark.thorough
def test_no_function_of_a_router_makes_tuples_of_unknown_length() -> None:
    """Write `tuple([...])` and `f(*[...])`, whose length is known when the tuple is made.

    CPython 3.11 makes a tuple of a generator larger and cuts it; 2,000 of each length that was so
    cut stay on its free lists: 0.6 MB that a router gained in its first 2,000 samples.
    """
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for package in ("titik_agent", "titik_mqtt", "titik_wire")
        for file in files(package)
        for function in nodes(file)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _cuts(node)
    ]
    assert [] == found


def _cuts(call: ast.Call) -> bool:
    """Whether it makes a tuple of something that does not know its length."""
    given = [one.value for one in call.args if isinstance(one, ast.Starred)]
    if isinstance(call.func, ast.Name) and call.func.id == "tuple":
        given += call.args
    return any(
        isinstance(one, ast.GeneratorExp)
        or (isinstance(one, ast.Call) and isinstance(one.func, ast.Name) and one.func.id in LAZY)
        for one in given
    )


def test_no_test_is_skipped_or_mocked() -> None:
    """What cannot run here fails here; what stands in for a device is a small class."""
    wanted = ("pytest.skip", "mark.skip", "importorskip", "unittest.mock", "MagicMock")
    found = [
        f"{file.relative_to(ROOT)}: {word}"
        for file in (ROOT / "tests").rglob("*.py")
        if file != Path(__file__)
        for word in wanted
        if word in file.read_text()
    ]
    assert found == []


def test_no_test_looks_at_a_page_once() -> None:
    """A click ends before the page has answered; `expect` or `until` wait for what it becomes."""
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in (ROOT / "tests").rglob("*.py")
        if "playwright.sync_api" in (text := file.read_text()) and file != Path(__file__)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assert) and _looks_once(node.test)
    ]
    assert [] == found


def _looks_once(node: ast.AST) -> bool:
    """Whether a part of it, which is not given to `until`, asks a page or what is on it."""
    if isinstance(node, ast.Lambda):
        return False
    match node:
        case ast.Attribute(ast.Name("page"), "url"):
            return True
        case ast.Call(ast.Attribute(attr=name), []) if name in LOOKS:
            return True
    return any(_looks_once(one) for one in ast.iter_child_nodes(node))
