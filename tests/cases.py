"""A table of cases; `make check` runs the first few, and `make test` all."""

from collections.abc import Iterable

import pytest


def few(number: int, cases: Iterable[object]) -> list[object]:
    """The cases; but for the first, they are `thorough`."""
    every = list(cases)
    rest = (pytest.param(one, marks=pytest.mark.thorough) for one in every[number:])
    return [*every[:number], *rest]
