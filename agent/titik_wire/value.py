"""What frozen data is compared by and shown as, once for all classes of it.

A dataclass gets functions of its own for this, each compiled: a tenth of a megabyte of a router.

Rule: its dataclasses have `repr=False, eq=False`.
"""

from dataclasses import fields
from typing import Any


class Value:
    """Equal to what has the same class and fields."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return _parts(self) == _parts(other)

    def __hash__(self) -> int:
        return hash(_parts(self))

    def __repr__(self) -> str:
        named = zip(fields(_data(self)), _parts(self), strict=True)
        return f"{type(self).__name__}({', '.join(f'{one.name}={part!r}' for one, part in named)})"


def _parts(one: Value) -> tuple[Any, ...]:
    return tuple([getattr(one, field.name) for field in fields(_data(one))])


def _data(one: Any) -> Any:
    return one
