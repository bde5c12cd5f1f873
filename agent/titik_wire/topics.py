"""Every topic string, and back from a topic of contract v1 to what it names.

Routers are addressed by router, not by site: a router can move.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, cast

from titik_wire.errors import WireError
from titik_wire.kinds import SLUG
from titik_wire.value import Value

PREFIX: Final = "titik/v1"
Kind = Literal[
    "status", "sample", "backlog", "ack", "settings", "certificate", "upgrade", "request",
    "running", "answer", "collector", "now", "rollup", "alert",
]  # fmt: skip

PACKED: Final[tuple[Kind, ...]] = ("sample", "backlog")  # what may come packed

ALL_SAMPLES: Final = f"{PREFIX}/router/+/sample"
ALL_BACKLOGS: Final = f"{PREFIX}/router/+/backlog"
ALL_STATUSES: Final = f"{PREFIX}/router/+/status"
ALL_ACKS: Final = f"{PREFIX}/router/+/ack"
ALL_SETTINGS: Final = f"{PREFIX}/router/+/settings"
ALL_CERTIFICATES: Final = f"{PREFIX}/router/+/certificate"
ALL_UPGRADES: Final = f"{PREFIX}/router/+/upgrade"
ALL_REQUESTS: Final = f"{PREFIX}/router/+/request"
ALL_RUNNING: Final = f"{PREFIX}/router/+/running"
ALL_ANSWERS: Final = f"{PREFIX}/router/+/answer"
ALL_COLLECTORS: Final = f"{PREFIX}/collector/+/status"
ALL_NOW: Final = f"{PREFIX}/now/#"
ALL_ROLLUPS: Final = f"{PREFIX}/rollup/#"
ALL_ALERTS: Final = f"{PREFIX}/alert/#"
ALL: Final = f"{PREFIX}/#"
# Home Assistant's: it looks for devices there, and the broker passes them on to engineers.
ALL_DEVICES: Final = "homeassistant/device/+/config"
NOTHING: Final = f"{PREFIX}/nothing"  # a topic without publishers and readers

# The broker's own.
BROKER: Final = "$SYS/#"
COMMANDS: Final = "$CONTROL/dynamic-security/v1"
COMMAND_ANSWERS: Final = f"{COMMANDS}/response"

# What every client id begins with. Brokers that insist on it keep engineers' tools, which choose
# their ids, from taking over the session of a router or collector: names have no colon.
CLIENT_ID = "titik:"


def own(router: str) -> str:
    """Each of a router's topics."""
    return f"{PREFIX}/router/{router}/+"


def status(router: str) -> str:
    """The router's presence, retained."""
    return f"{PREFIX}/router/{router}/status"


def sample(router: str) -> str:
    """The present: the newest sample, retained."""
    return f"{PREFIX}/router/{router}/sample"


def backlog(router: str) -> str:
    """The past: samples taken while cut off, or sent again."""
    return f"{PREFIX}/router/{router}/backlog"


def ack(router: str) -> str:
    """What the collector has committed of this router, retained."""
    return f"{PREFIX}/router/{router}/ack"


def settings(router: str) -> str:
    """What the city wishes a router to run with, retained."""
    return f"{PREFIX}/router/{router}/settings"


def certificate(router: str) -> str:
    """A router's certificate and its authorities, retained until it uses them."""
    return f"{PREFIX}/router/{router}/certificate"


def upgrade(router: str) -> str:
    """The version that a router is to run, retained until it does."""
    return f"{PREFIX}/router/{router}/upgrade"


def request(router: str) -> str:
    """A question to a router, for now alone."""
    return f"{PREFIX}/router/{router}/request"


def running(router: str) -> str:
    """What a router made of the wishes, retained."""
    return f"{PREFIX}/router/{router}/running"


def answer(router: str) -> str:
    """What a router answers to a question."""
    return f"{PREFIX}/router/{router}/answer"


def collector(name: str) -> str:
    """A collector's presence, retained; routers read it, so it is published on change only."""
    return f"{PREFIX}/collector/{name}/status"


def beat(name: str) -> str:
    """A collector's presence every few seconds, not retained; no router pays for it."""
    return f"{PREFIX}/collector/{name}/beat"


def now(scope: str, name: str) -> str:
    """This moment of a router, a site or the city, retained."""
    return f"{PREFIX}/now/city" if scope == "city" else f"{PREFIX}/now/{scope}/{name}"


def rollup(window: str, scope: str, name: str) -> str:
    """A finished window of a router, a site or the city, the newest retained."""
    base = f"{PREFIX}/rollup/{window}"
    return f"{base}/city" if scope == "city" else f"{base}/{scope}/{name}"


def alert(scope: str, name: str, rule: str) -> str:
    """What is wrong with a router, a site, the city or the server; retained while it is."""
    return f"{PREFIX}/alert/{scope}/{name}/{rule}"


def device(site: str) -> str:
    """What Home Assistant makes a device of, retained."""
    return ALL_DEVICES.replace("+", f"titik_site_{site}")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Address(Value):
    """What a topic names: `name` is the router, collector or site; None: the one city there is."""

    kind: Kind
    name: str | None
    scope: str | None = None
    window: str | None = None
    rule: str | None = None  # of an alert


_PATTERNS: Final = (
    re.compile(rf"{PREFIX}/router/(?P<name>{SLUG})/(?P<kind>status|sample|backlog|ack)"),
    re.compile(
        rf"{PREFIX}/router/(?P<name>{SLUG})"
        r"/(?P<kind>settings|certificate|upgrade|request|running|answer)"
    ),
    re.compile(rf"{PREFIX}/(?P<kind>collector)/(?P<name>{SLUG})/(?:status|beat)"),
    re.compile(rf"{PREFIX}/(?P<kind>now)/(?P<scope>router|site)/(?P<name>{SLUG})"),
    re.compile(rf"{PREFIX}/(?P<kind>now)/(?P<scope>city)"),
    re.compile(
        rf"{PREFIX}/(?P<kind>rollup)/(?P<window>1m|1h|1d)/(?P<scope>router|site)/(?P<name>{SLUG})"
    ),
    re.compile(rf"{PREFIX}/(?P<kind>rollup)/(?P<window>1m|1h|1d)/(?P<scope>city)"),
    re.compile(
        rf"{PREFIX}/(?P<kind>alert)/(?P<scope>router|site|city|server)/(?P<name>{SLUG})"
        rf"/(?P<rule>{SLUG})"
    ),
)


def parse(topic: str) -> Address:
    """Read a topic; raises WireError for one that the contract does not have."""
    for pattern in _PATTERNS:
        found = pattern.fullmatch(topic)
        if found is not None:
            parts = found.groupdict()
            kind = cast(Kind, parts["kind"])
            named = (parts.get(one) for one in ("name", "scope", "window", "rule"))
            return Address(kind, *named)
    raise WireError("no such topic in contract v1", "topic")
