"""Contract v1 as documents need it: its messages with the comment behind each field, its topics.

Rule: nothing is written down twice; names, kinds and comments come from titik_wire itself.
"""

import inspect
from dataclasses import MISSING, fields
from typing import Any, Final, NamedTuple

from titik_wire import city_messages, fleet_messages, messages, topics
from titik_wire.city_messages import AlertNow, Message, Now, Rollup
from titik_wire.fleet_messages import (
    Question,
    RouterCertificate,
    RouterReply,
    RouterSettings,
    RouterUpgrade,
    Running,
)
from titik_wire.limits import MAX_ALSO, MAX_PAYLOAD, MAX_RUNS, MAX_WHOLE
from titik_wire.messages import Ack, AckedRun, CollectorStatus, Held, Sample, Status
from tools.comments import behind_fields

_MODULES: Final = {one.__name__: one for one in (messages, fleet_messages, city_messages)}
MESSAGES: Final[tuple[type[Message], ...]] = (
    *(Status, Sample, Ack, CollectorStatus),
    *(RouterSettings, RouterCertificate, RouterUpgrade, Question, Running, RouterReply),
    *(Now, Rollup, AlertNow),
)
# Part of a topic or a key on the wire, so no field of the JSON object.
IMPLIED: Final = {(Ack, "router"), (AckedRun, "run"), (Held, "run")}
ROUTER, NAME, COLLECTOR = "{router}", "{name}", "{collector}"
LIMITS: Final = {
    "bytes in a message": MAX_PAYLOAD,
    "greatest whole number": MAX_WHOLE,
    "runs that a sample's `spool` or an ack lists": MAX_RUNS,
    "ranges that an ack lists of one run, of each kind": MAX_ALSO,
}


class Field(NamedTuple):
    """One field of a JSON object."""

    name: str
    annotation: Any
    required: bool
    meaning: str


class Channel(NamedTuple):
    """One topic: who publishes what on it, and how."""

    name: str
    address: str
    message: type[Message]
    author: str
    qos: int
    retained: str  # yes, no, or when
    meaning: str


CHANNELS: Final = (
    Channel(
        "status", topics.status(ROUTER), Status, "agent; its will", 1, "yes",
        "whether the router is connected",
    ),
    Channel(
        "sample", topics.sample(ROUTER), Sample, "agent", 1, "yes",
        "the present: always newer than the one before",
    ),
    Channel(
        "backlog", topics.backlog(ROUTER), Sample, "agent", 1, "no",
        "the past: taken while the router was cut off, or sent again",
    ),
    Channel(
        "ack", topics.ack(ROUTER), Ack, "collector", 0, "yes",
        "what the collector has committed of this router",
    ),
    Channel(
        "settings", topics.settings(ROUTER), RouterSettings, "collector", 1, "yes",
        "what the city wishes this router to run with",
    ),
    Channel(
        "certificate", topics.certificate(ROUTER), RouterCertificate, "collector", 1,
        "until it is used", "its certificate, and the authorities that it is to trust",
    ),
    Channel(
        "upgrade", topics.upgrade(ROUTER), RouterUpgrade, "collector", 1, "until it runs",
        "the version that this router is to run",
    ),
    Channel(
        "request", topics.request(ROUTER), Question, "collector", 1, "no",
        "a question to this router",
    ),
    Channel(
        "running", topics.running(ROUTER), Running, "agent", 1, "yes",
        "what this router made of the wishes",
    ),
    Channel(
        "answer", topics.answer(ROUTER), RouterReply, "agent", 1, "no", "what it found when asked"
    ),
    Channel(
        "collector", topics.collector(COLLECTOR), CollectorStatus, "collector; its will", 0, "yes",
        "whether anybody is storing: a collector is online when any is",
    ),
    Channel(
        "beat", topics.beat(COLLECTOR), CollectorStatus, "collector", 0, "no",
        "the same every 10 s, for engineers; routers do not read it",
    ),
    Channel(
        "nowRouter", topics.now("router", NAME), Now, "collector", 0, "yes",
        "this moment of a router",
    ),
    Channel(
        "nowSite", topics.now("site", NAME), Now, "collector", 0, "yes", "this moment of a site"
    ),
    Channel(
        "nowCity", topics.now("city", ""), Now, "collector", 0, "yes", "this moment of the city"
    ),
    Channel(
        "rollupRouter", topics.rollup("{window}", "router", NAME), Rollup, "collector", 0,
        "the newest", "a finished window of a router",
    ),
    Channel(
        "rollupSite", topics.rollup("{window}", "site", NAME), Rollup, "collector", 0,
        "the newest", "a finished window of a site",
    ),
    Channel(
        "rollupCity", topics.rollup("{window}", "city", ""), Rollup, "collector", 0,
        "the newest", "a finished window of the city",
    ),
    Channel(
        "alert", topics.alert("{scope}", NAME, "{kind}"), AlertNow, "collector", 0,
        "while it fires", "what is wrong; an empty payload ends it",
    ),
)  # fmt: skip


def described(cls: type[Any]) -> tuple[Field, ...]:
    """The fields of one message as they stand in its JSON object."""
    meanings = behind_fields(_MODULES[cls.__module__])[cls.__name__]
    return tuple(
        Field(f.name, f.type, f.default is MISSING, meanings.get(f.name, ""))
        for f in fields(cls)
        if (cls, f.name) not in IMPLIED
    )


def about(cls: type[Any]) -> str:
    """What one message or part is, in the words of its docstring."""
    return inspect.cleandoc(cls.__doc__ or "")


def parts() -> tuple[type[Any], ...]:
    """Every dataclass of the contract, in the order of its modules."""
    return tuple(
        getattr(module, name) for module in _MODULES.values() for name in behind_fields(module)
    )
