"""The files that a configuration names by a key that ends in `_file`.

Rule: each such key is one of them by its name alone, so no new one is forgotten in a backup.
"""

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

END = "_file"


def named_files(table: object, before: str = "") -> Iterator[tuple[str, Path]]:
    """Each with its key, such as `smtp.password_file` or `receiver.1.url_file`."""
    inside: Iterable[tuple[str, object]] = ()
    if isinstance(table, tuple):
        inside = ((str(number), one) for number, one in enumerate(table))
    elif is_dataclass(table) and not isinstance(table, type):
        inside = ((field.name, getattr(table, field.name)) for field in fields(table))
    for name, one in inside:
        if isinstance(one, Path) and name.endswith(END):
            yield f"{before}{name}", one
        else:
            yield from named_files(one, f"{before}{name}.")
