"""A sentence that the program says to people: English by itself, with what a translation needs.

Rule: it is a text, so whoever only prints it need not know that it is more.
"""

from dataclasses import dataclass
from typing import Self

from titik_collector.wording import when


@dataclass(frozen=True, slots=True)
class Length:
    """A time, which each language writes in its own way."""

    ms: int


@dataclass(frozen=True, slots=True)
class Word:
    """A word that each language has its own for, such as a state."""

    text: str


Part = str | int | Length | Word


class Sentence(str):
    """A template with holes, and what fills them."""

    template: str
    parts: dict[str, Part]

    def __new__(cls, template: str, **parts: Part) -> Self:
        """In English; the template is the key of its translation."""
        made = super().__new__(cls, template.format(**{k: _english(v) for k, v in parts.items()}))
        made.template, made.parts = template, parts
        return made


def _english(part: Part) -> str:
    if isinstance(part, Length):
        return when.length(part.ms)
    if isinstance(part, Word):
        return part.text
    return f"{part:,}" if isinstance(part, int) else part
