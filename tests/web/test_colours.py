"""The page's colours: enough contrast, and states that stay apart for everybody who looks.

The figures are computed here: contrast by WCAG 2.2, what people see with a colour vision deficiency
by the matrices of Machado, Oliveira and Fernandes (2009, severity 1.0), distance by CIE L*a*b*.
"""

import itertools
import math
import re
from collections.abc import Iterator

import pytest

from tests.project.sources import PACKAGES

STATIC = PACKAGES["titik_collector"] / "web/static"
CSS = (STATIC / "css/colours.css").read_text()
RULE = re.compile(r"(:root[^{]*)\{(.*?)\}", re.S)
HEX = "#[0-9A-F]{6}"
COLOUR = re.compile(
    rf"--([a-z0-9-]+): (?:({HEX})|var\(--if-light, ({HEX})\) var\(--if-dark, ({HEX})\));"
)
Vector = tuple[float, float, float]
Palette = dict[str, str]

# Linear RGB as it is seen, row by row.
SEEN = {
    "everybody": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
WHITE = (0.95047, 1.0, 1.08883)  # D65
FAR = 24.0  # of a state from any other; 2.3 is just noticeable beside each other
CLEAR, READABLE = 3.0, 4.5  # WCAG 2.2 AA: what has a shape, and text


def palettes() -> Iterator[tuple[str, Palette]]:
    """Each colour has one value, or one for light and one for dark."""
    found = COLOUR.findall(CSS)
    yield "light", {name: always or light for name, always, light, _ in found}
    yield "dark", {name: always or dark for name, always, _, dark in found}


PALETTES = [pytest.param(palette, id=name) for name, palette in palettes()]


def of_kind(palette: Palette, prefix: str) -> Palette:
    """All colours whose name begins so."""
    return {name: value for name, value in palette.items() if name.startswith(prefix)}


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("background", ["surface", "card", "land", "sea"])
def test_a_state_is_clear_on_every_background(palette: Palette, background: str) -> None:
    """A mark of 16 pixels is no text; 3:1 is asked of it."""
    assert not {
        name: contrast(value, palette[background])
        for name, value in of_kind(palette, "state-").items()
        if contrast(value, palette[background]) < CLEAR
    }


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("kind", ["state-", "series-"])
@pytest.mark.parametrize("eyes", SEEN)
def test_no_two_are_alike(palette: Palette, kind: str, eyes: str) -> None:
    """Whoever sees them: states, and the places that one chart compares."""
    seen = {name: lab(value, eyes) for name, value in of_kind(palette, kind).items()}
    assert 6 == len(seen)
    assert not {
        (one, other): math.dist(seen[one], seen[other])
        for one, other in itertools.combinations(seen, 2)
        if math.dist(seen[one], seen[other]) < FAR
    }


@pytest.mark.parametrize("palette", PALETTES)
def test_lines_of_a_chart_are_clear(palette: Palette) -> None:
    """On the card that they are drawn on."""
    assert all(
        contrast(one, palette["card"]) >= CLEAR for one in of_kind(palette, "series-").values()
    )


TEXTS = [
    *itertools.product(["text", "muted", "accent"], ["surface", "card", "inset"]),
    *itertools.product(["text"], ["land", "sea"]),
    ("on-accent", "accent"),
    ("on-warning", "warning"),
    ("on-alarm", "alarm"),
]


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize(("text", "background"), TEXTS)
def test_text_is_readable(palette: Palette, text: str, background: str) -> None:
    """On each background that it may stand on."""
    assert contrast(palette[text], palette[background]) >= READABLE


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("name", ["edge", "focus"])
def test_what_can_be_used_is_outlined(palette: Palette, name: str) -> None:
    """The edge of a field and the ring of the focus, on page and card."""
    assert all(contrast(palette[name], palette[one]) >= CLEAR for one in ("surface", "card"))


@pytest.mark.parametrize("eyes", SEEN)
def test_a_busier_hour_is_lighter(eyes: str) -> None:
    """The heat map can be read by lightness alone, printed in grey too."""
    steps = of_kind(dict(palettes())["light"], "heat-")
    lightness = [lab(steps[f"heat-{n}"], eyes)[0] for n in range(1, 8)]
    assert lightness == sorted(lightness)
    assert all(later - sooner >= 5 for sooner, later in itertools.pairwise(lightness))


def test_dark_is_the_same_by_system_and_by_choice() -> None:
    """The two rules that switch switch the same."""
    _, by_system, by_choice = (body.split() for _, body in RULE.findall(CSS))
    assert by_system == by_choice


def test_only_one_file_names_colours() -> None:
    """Another would miss the dark theme, and these tests."""
    other = [file for file in (STATIC / "css").glob("*.css") if file.name != "colours.css"]
    named = re.compile(r"(?<![\w&-])#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(")
    scripts = (STATIC / "js").glob("*.js")
    assert [] == [file.name for file in (*other, *scripts) if named.search(file.read_text())]


def test_a_style_sheet_is_not_cut_off() -> None:
    """A rule that does not end would swallow what is written below it."""
    sheets = [*(STATIC / "css").glob("*.css"), *(STATIC.parents[1] / "public/assets").glob("*.css")]
    texts = {file.name: file.read_text() for file in sheets}
    cut = [name for name, text in texts.items() if text.count("{") != text.count("}")]
    assert [] == cut


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Of sRGB, from 0 to 1."""
    red, green, blue = linear(colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def linear(colour: str) -> Vector:
    """`#RRGGBB` as amounts of light."""
    red, green, blue = (_light(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return red, green, blue


def _light(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def lab(colour: str, eyes: str) -> Vector:
    """L*a*b* of what these eyes see."""
    light = linear(colour)
    red, green, blue = (
        min(1.0, max(0.0, sum(a * b for a, b in zip(row, light, strict=True))))
        for row in SEEN[eyes]
    )
    x = 0.4124 * red + 0.3576 * green + 0.1805 * blue
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = 0.0193 * red + 0.1192 * green + 0.9505 * blue
    x, y, z = (_root(value / white) for value, white in zip((x, y, z), WHITE, strict=True))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def _root(value: float) -> float:
    return value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
