"""Every key of the agent's configuration as Markdown, from its dataclasses."""

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin

from titik_agent import config
from tools.comments import behind_fields

HEAD = "| key | what | kind | default |\n|---|---|---|---|\n"


def sections() -> Iterator[str]:
    """The keys outside any table, then one section for each table."""
    yield f"### Outside any table\n\n{_table(config.Config, '')}"
    for one in fields(config.Config):
        if isinstance(one.type, type) and is_dataclass(one.type):
            about = inspect.cleandoc(one.type.__doc__ or "").partition(": ")[2]
            about = about[:1].upper() + about[1:]
            yield f"### `[{one.name}]`\n\n{about}\n\n{_table(one.type, f'{one.name}.')}"


def _table(cls: type[Any], prefix: str) -> str:
    meanings = behind_fields(config)[cls.__name__]
    return HEAD + "".join(
        f"| `{one.name}` | {meanings[one.name]} | {_kind(one.type, prefix + one.name)}"
        f" | {_default(one)} |\n"
        for one in fields(cls)
        if not is_dataclass(one.type)
    )


def _kind(annotation: Any, key: str) -> str:
    if annotation is int:
        return "whole number from {} to {}".format(*config.RANGES[key])
    if get_origin(annotation) is Literal:
        return " or ".join(f'`"{one}"`' for one in get_args(annotation))
    if config.Path in (annotation, *get_args(annotation)):
        return "list of paths" if get_origin(annotation) is tuple else "path"
    names = {"str": "text", "bool": "`true` or `false`"}
    inner = str(getattr(annotation, "__name__", annotation)).partition(" |")[0]
    return names.get(inner, "list of texts")


def _default(one: Field[Any]) -> str:
    if one.default in (MISSING, ""):
        return "must be given"
    if one.default is None:
        return "none"
    if isinstance(one.default, tuple):
        return f"`{list(one.default)}`".replace("'", '"')
    if isinstance(one.default, str):
        return f'`"{one.default}"`'
    return f"`{str(one.default).lower()}`"
