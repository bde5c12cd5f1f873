"""The tables of docs/, written between markers: topics, limits, fields, configuration keys."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from bench import alert_evidence, size
from tests.lab.topologies import TOPOLOGIES
from tests.project.sources import PACKAGES, ROOT
from tests.project.test_layering import FLOORS
from titik_agent.sampling.sampler import SHED_ORDER
from titik_collector.config import model as collector_config
from titik_collector.config import schema
from titik_collector.figures.table import KINDS, WINDOW, Amount, Extreme, Mean, OfDay, PartOf, Rate
from titik_wire.kinds import ByRun, Instant, Items, Real, Text, Whole
from titik_wire.limits import MAX_WHOLE
from titik_wire.messages import Held, Span
from tools import agent_keys, sizing, write_reliability
from tools.cell import files
from tools.contract import CHANNELS, LIMITS, MESSAGES, about, described, parts

MARKED: Final = re.compile(r"(<!-- (\w+)(?: (\w+))? -->\n).*?(<!-- end -->)", re.S)


def refreshed(page: str) -> str:
    """The page with every generated table written again."""
    return MARKED.sub(lambda found: found[1] + _WRITERS[found[2]](found[3]) + found[4], page)


def _topics(_: str) -> str:
    rows = [
        (f"`{one.address}`", one.author, one.qos, one.retained, _link(one.message), one.meaning)
        for one in CHANNELS
    ]
    return _table(("topic", "from", "QoS", "retained", "message", "meaning"), rows)


def _limits(_: str) -> str:
    return _table(("limit", "value"), [(name, f"{value:,}") for name, value in LIMITS.items()])


def _fields(name: str) -> str:
    cls = next(one for one in parts() if one.__name__ == name)
    rows = [
        (f"`{one.name}`", _kind(one.annotation), "yes" if one.required else "", one.meaning)
        for one in described(cls)
    ]
    if cls in MESSAGES:
        rows.insert(0, ("`v`", "1", "yes", "version of the contract"))
    return f"{about(cls)}\n\n" + _table(("field", "kind", "always", "meaning"), rows)


def _shed(_: str) -> str:
    return _table(("order", "left out"), [(n, f"`{one}`") for n, one in enumerate(SHED_ORDER, 1)])


def _evidence(part: str) -> str:
    found = alert_evidence.load()
    return alert_evidence.table(found.trial if part == "trial" else found.tuning)


def _sizes(_: str) -> str:
    rows = []
    for routers in (10, 400, 1000, 10_000):
        kinds = sizing.store_bytes(routers)
        rows.append((f"{routers:,}", *(_gigabytes(one) for one in (*kinds, sum(kinds)))))
    head = (size.MESSAGES, size.SAMPLES, size.MINUTES, f"{size.LONGER} of a year")
    return _table(("routers", *head, "after a year"), rows)


def _need(what: str) -> str:
    head, rows = _NEEDS[what]
    return _table(head, rows())


_NEEDS: dict[str, tuple[tuple[str, ...], Callable[[], list[tuple[str, ...]]]]] = {
    "server": (
        ("routers", "processor", "memory", "disk after a year, SQLite", "line", "line, a month"),
        sizing.server,
    ),
    "sim": (("a sample each", "packed", "plain"), sizing.sims),
    "hours": (("hours a month", *(f"{one:,}" for one in sizing.SIZES)), sizing.hours),
    "amounts": (("routers", "N, machines", "G", "M", "H"), sizing.amounts),
    "breaking": (("what", "routers", "measured", "limit"), sizing.breaking),
}


def _gigabytes(amount: float) -> str:
    return f"{amount / 1e9:,.{2 if amount < 1e10 else 0}f} GB"


def _keys(name: str) -> str:
    if name == "collector":
        return schema.document(collector_config.Config)
    return "\n".join(agent_keys.sections())


def _topologies(_: str) -> str:
    return _table(
        ("topology", "counted as uplink", "played as"),
        [
            (row.name, row.counted, ", ".join(f"`{one}`" for one in row.uplinks))
            for row in TOPOLOGIES
        ],
    )


def _rooms(package: str) -> str:
    """From the top floor down, each with the first line of its docstring."""
    rooms = [name for floor in reversed(FLOORS[package]) for name in sorted(floor)]
    return _table(("room", "what it is"), [_room(PACKAGES[package], name) for name in rooms])


def _room(package: Path, name: str) -> tuple[str, str]:
    folder = package / name
    file = folder / "__init__.py" if folder.is_dir() else package / f"{name}.py"
    about = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n")[0]
    shown = f"{name}/" if folder.is_dir() else file.name
    where = folder if folder.is_dir() else file
    return f"[`{shown}`](../{where.relative_to(ROOT)})", about


def _figures(_: str) -> str:
    """By field: what it is made of, and how windows and routers add up."""
    rows = [row for name, kind in KINDS.items() if (row := _figure(name, kind))]
    return _table(("field", "made of", "longer windows", "several routers"), rows)


def _figure(name: str, kind: object) -> tuple[str, ...]:
    again = "the same, of the sums"
    match kind:
        case Amount(known):
            return f"`{name}`", f"`{name}`, where `{known}` is not 0", "the sum", "the sum"
        case PartOf(field, whole) if whole == WINDOW:
            return f"`{field}`", f"`{name}` / the window's length / `routers`", again, again
        case PartOf(field, whole):
            return f"`{field}`", f"`{name}` / `{whole}`", again, again
        case Mean(amount, known):
            bits = "8000 * " if isinstance(kind, Rate) else ""
            return f"`{name}`", f"{bits}`{amount}` / `{known}`", again, "the sum"
        case Extreme("min"):
            return f"`{name}`", f"`{name}`", "the lowest", "the sum at one minute"
        case Extreme():
            return f"`{name}`", f"`{name}`", "the highest", "the sum at one minute"
        case OfDay():
            return f"`{name}`", f"`{name}`", "only of a day", "the sum"
    return ()  # part of others


def _fleet(_: str) -> str:
    """How long each thing took that a fleet was asked from a distance."""
    return write_reliability.from_a_distance(write_reliability.load())


def _cell(name: str) -> str:
    """A file of the three machines, or how long their routers had no acks."""
    if name == "without_acks":
        return write_reliability.without_acks(write_reliability.load())
    (file,) = files.SHOWN.glob(f"{name}.*") if name != "hosts" else [files.SHOWN / name]
    language = {".yml": "yaml", ".sql": "sql", ".toml": "toml"}.get(file.suffix, "")
    return f"```{language}\n{file.read_text()}```\n"


_WRITERS: Final[dict[str, Callable[[str], str]]] = {
    "topics": _topics,
    "limits": _limits,
    "fields": _fields,
    "keys": _keys,
    "topologies": _topologies,
    "evidence": _evidence,
    "figures": _figures,
    "rooms": _rooms,
    "shed": _shed,
    "sizes": _sizes,
    "need": _need,
    "cell": _cell,
    "fleet": _fleet,
}


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in row)} |\n" for row in lines)


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return _kind(next(one for one in arguments if one is not NoneType))
    if origin is Annotated:
        return _limited(arguments[0], arguments[1])
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in arguments)
    if annotation == Span:
        return "`[first, last]`"
    if annotation is bool:
        return "true, false"
    return _link(annotation)


def _limited(base: Any, kind: Any) -> str:
    match kind:
        case Whole(maximum=maximum) if maximum == MAX_WHOLE:
            return "count" if kind.minimum == 0 else f"count from {kind.minimum}"
        case Whole():
            return f"whole number {kind.minimum} to {kind.maximum}"
        case Real():
            return f"number {kind.minimum:,.0f} to {kind.maximum:,.0f}"
        case Text(pattern=None):
            return f"text, {kind.max_chars} characters"
        case Text():
            return f"`{kind.pattern}`"
        case Instant():
            return "time"
        case Items():
            return f"list of {kind.maximum}: {_kind(get_args(base)[0])}"
        case ByRun():
            inner = get_args(base)[0]
            value = "`[lowest, highest]` or `[]`" if inner is Held else _link(inner)
            return f"object of {kind.maximum} runs: {value}"
    raise TypeError(f"no words for {kind}")


def _link(cls: type[Any]) -> str:
    return f"[{cls.__name__}](#{cls.__name__.lower()})"
