"""Every state has a shape of its own, so that its colour is not needed to know it."""

import re
from collections import Counter

from jinja2 import Environment, FileSystemLoader

from tests.project.sources import PACKAGES

TEMPLATES = PACKAGES["titik_collector"] / "web/templates"
MARKS = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True).get_template("marks.html")
SYMBOL = re.compile(r'<symbol id="mark-([a-z-]+)" viewBox="0 0 16 16">(.*?)</symbol>')
NAMES = {
    "online", "partly", "silent", "offline", "unknown", "closed", "off-air", "maintenance", "gap",
    "zero",
}  # fmt: skip


def test_every_state_has_a_shape() -> None:
    """And what is no state but is drawn beside them: a gap, and zero."""
    shapes = dict(SYMBOL.findall(str(MARKS.module.symbols())))  # type: ignore[attr-defined]
    assert NAMES == set(shapes)
    assert {1} == set(Counter(shapes.values()).values())


def test_a_mark_is_its_shape_in_its_colour() -> None:
    """Hidden from a screen reader, which reads the word beside it."""
    expected = '<svg class="mark state-silent" aria-hidden="true"><use href="#mark-silent"/></svg>'
    assert expected == str(MARKS.module.mark("silent"))  # type: ignore[attr-defined]
