"""The messages of contract v1 by which a city looks after its routers from a distance.

What messages.py says of fields is so here, too. A router hears the first four of its collector, and
sends the last two. Each wish has a revision, which rises with every change of it.

Rule: a router that nobody wishes anything of never imports this.
Rule: no wish can name a broker, a path or a command. What a hostile broker can do with these is in
docs/security.md.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from titik_wire.kinds import Count, Items, Label, RunId, Seq, Slug, Text, Time, Title, Whole
from titik_wire.limits import (
    MAX_AUTHORITIES,
    MAX_CHECKS,
    MAX_DER,
    MAX_LOG_LINES,
    MAX_REMOTE_TARGETS,
    MAX_TARGET,
)
from titik_wire.value import Value

LogLevel = Literal["debug", "info", "warning"]
# A package's version as a router takes it; what else was sent it refuses, with the reason.
UPGRADE_VERSION = r"[0-9][0-9A-Za-z.+~_-]{0,31}"
Target = Annotated[str, Text(MAX_TARGET, r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")]
DnsName = Annotated[str, Text(MAX_TARGET, r"(\*\.)?[A-Za-z0-9._-]+")]
Der = Annotated[str, Text(MAX_DER, r"[A-Za-z0-9+/]+={0,2}")]  # in base64
Sha256 = Annotated[str, Text(64, r"[0-9a-f]{64}")]
Targets = Annotated[tuple[Target, ...], Items(MAX_REMOTE_TARGETS)]
DnsNames = Annotated[tuple[DnsName, ...], Items(MAX_REMOTE_TARGETS)]
Authorities = Annotated[tuple[Der, ...], Items(MAX_AUTHORITIES)]
Prints = Annotated[tuple[Sha256, ...], Items(MAX_AUTHORITIES)]
LogLines = Annotated[tuple[Title, ...], Items(MAX_LOG_LINES)]
Interval = Annotated[int, Whole(5, 3600)]
Every = Annotated[int, Whole(60, 3600)]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RouterSettings(Value):
    """What the city wishes a router to run with; an absent one is as the router's own file says."""

    router: Slug  # the router, same as in the topic
    revision: Seq  # rises with every change
    interval_s: Interval | None = None  # seconds between samples
    reach_targets: Targets | None = None  # to open over TCP; `[]`: none
    reach_names: DnsNames | None = None  # to ask the resolver for; `[]`: none
    reach_every_s: Every | None = None  # seconds between rounds
    probe: bool | None = None  # false: what the probe process saw is left out
    compress: bool | None = None  # whether samples are packed
    log_level: LogLevel | None = None  # from which on the agent logs


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RouterCertificate(Value):
    """A certificate for the key that a router has, and the authorities it is to trust."""

    router: Slug  # the router, same as in the topic
    revision: Seq  # rises with every change
    certificate: Der | None = None  # its own, signed again; absent: the one it has stays
    authorities: Authorities | None = None  # all that it is to trust; absent: the same as before
    edition: Seq | None = None  # of the authorities; rises with every change of them
    witness: Der | None = None  # a certificate for these authorities, of one that it trusts
    witness_key: Der | None = None  # of the witness; no secret, and good for nothing else


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RouterUpgrade(Value):
    """The version of the agent that a router is to run, from the feed that it has."""

    router: Slug  # the router, same as in the topic
    revision: Seq  # rises with every change
    version: Label  # of the package


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Question(Value):
    """A question to a router; it is not retained, so a router that is offline never hears it."""

    router: Slug  # the router, same as in the topic
    id: RunId  # of this question
    what: Literal["check"]  # the steps of `titik-agent check`, and the end of the agent's log


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RouterReply(Value):
    """What a router found when it was asked. No line has an address of a visitor's device."""

    router: Slug  # the router, same as in the topic
    id: RunId  # of the question
    checks: Annotated[tuple[Title, ...], Items(MAX_CHECKS)] = ()  # lines of `titik-agent check`
    log: LogLines = ()  # the newest lines of the agent's log, the oldest first
    refused: Title | None = None  # why it did not look, such as that it looked a moment ago


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Outcome(Value):
    """What became of a wish."""

    revision: Seq  # of the wish
    state: Literal["applied", "trying", "refused", "rolled-back"]  # trying: no ack came since
    reason: Title | None = None  # why it was refused or rolled back
    since: Time | None = None  # of this state, by the router's clock


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class InForce(Value):
    """The settings that a router runs with, wherever each comes from."""

    interval_s: Count  # seconds between samples
    reach_targets: Targets = ()  # the first ones
    reach_names: DnsNames = ()  # the first ones
    reach_every_s: Count | None = None  # seconds between rounds
    probe: bool | None = None  # whether it reports what the probe process saw
    compress: bool | None = None  # whether samples are packed; absent: as collectors take it
    log_level: LogLevel | None = None  # from which on the agent logs


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Trust(Value):
    """What a router logs in with, and the authorities that it trusts."""

    authorities: Prints  # fingerprints
    certificate: Sha256 | None = None  # the fingerprint of its own
    until: Time | None = None  # when that ends
    kept: bool | None = None  # false: in memory alone, so the installed ones come back one day


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Running(Value):
    """What a router made of the city's wishes; sent after the first one has come, and on change."""

    router: Slug  # the router, same as in the topic
    run: RunId  # the life of the agent that spoke
    version: Label  # of the agent
    settings: Outcome | None = None  # of the newest settings
    in_force: InForce | None = None  # with `settings`: what it runs with
    certificate: Outcome | None = None  # of the newest certificate
    trust: Trust | None = None  # with `certificate`: what it logs in with
    upgrade: Outcome | None = None  # of the newest version


FleetMessage = RouterSettings | RouterCertificate | RouterUpgrade | Question | RouterReply | Running
