"""A folder that anybody may read is apart from all that the configuration names.

Rule: it is none of those folders, lies in none, and has no such file or folder in it. Links are
followed before they are compared.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

from titik_collector.config.schema import ConfigError

REMEDY = "name a folder of its own"


def check_served(file: Path, named: Iterable[Path], folder: Path, key: str) -> None:
    """ConfigError if somebody who serves this folder would serve what is the city's alone."""
    served = _real(folder)
    for one in named:
        own = _real(one)
        if served == own:
            wrong = f"{folder} is the city's own, and anybody may read it"
        elif own in served.parents:
            wrong = f"{folder} is in {one}, and anybody may read it"
        elif served in own.parents:
            wrong = f"{folder} has {one} in it, and anybody may read it"
        else:
            continue
        raise ConfigError(file, key, wrong, REMEDY)


def paths(table: object) -> Iterator[Path]:
    """Every path that a table names, or the tables in it."""
    if isinstance(table, Path):
        yield table
    elif isinstance(table, tuple):
        for one in table:
            yield from paths(one)
    elif is_dataclass(table) and not isinstance(table, type):
        for field in fields(table):
            yield from paths(getattr(table, field.name))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
