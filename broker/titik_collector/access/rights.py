"""Who may publish, receive and subscribe to what: one table for each kind of user.

Rule: what is not here is refused, in SUBACK and PUBACK too.
Rule: a router's filters are literal, so that it holds at most six subscriptions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from titik_wire import topics

# mosquitto's names for what a line is about.
SEND, HEAR = "publishClientSend", "publishClientReceive"
EXACT, PATTERN = "subscribeLiteral", "subscribePattern"

# No name of a router, a collector or an engineer has a colon.
CONTROL = "control:titik"  # the user that commands the broker
ROUTER, ENGINEER = "router", "engineer"  # what all of them share


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One line of a role: what is allowed at a topic."""

    kind: str
    topic: str


def router_role(name: str) -> str:
    """What a router alone may do."""
    return f"{ROUTER}:{name}"


def collector_role(collector_id: str) -> str:
    """What the collector of this id may do."""
    return f"collector:{collector_id}"


def is_of_one_of_few(role: str) -> bool:
    """Whether it is an engineer's or a collector's: who has it is in the settings, or is gone."""
    return role == ENGINEER or role.startswith("collector:")


def of_router(name: str) -> list[Right]:
    """By leaf: with `#` a router could forge its own ack.

    It receives by one line what it may ask for by leaf: the file, which the plugin writes whole at
    each change, is a third smaller.
    """
    sent = (
        topics.status(name), topics.sample(name), topics.backlog(name),
        topics.running(name), topics.answer(name),
    )  # fmt: skip
    heard = (
        topics.ack(name), topics.settings(name), topics.certificate(name), topics.upgrade(name),
        topics.request(name),
    )  # fmt: skip
    asked = (Right(EXACT, one) for one in heard)
    return [*(Right(SEND, one) for one in sent), *asked, Right(HEAR, topics.own(name))]


def of_routers() -> list[Right]:
    """What every router may: see whether a collector is there."""
    return list(_heard(EXACT, topics.ALL_COLLECTORS))


def of_collector(collector_id: str) -> list[Right]:
    """It writes what it publishes, and reads it back to clear what is no longer true.

    What is for Home Assistant it only writes.

    It also clears what is retained of routers that were removed.
    """
    written = (
        topics.ALL_STATUSES, topics.ALL_SAMPLES, topics.ALL_ACKS,
        topics.collector(collector_id), topics.beat(collector_id),
        topics.ALL_NOW, topics.ALL_ROLLUPS, topics.ALL_ALERTS,
        topics.ALL_SETTINGS, topics.ALL_CERTIFICATES, topics.ALL_UPGRADES, topics.ALL_REQUESTS,
        topics.ALL_RUNNING,
    )  # fmt: skip
    heard = (*written, topics.ALL_BACKLOGS, topics.ALL_ANSWERS, topics.BROKER)
    sent = (*written, topics.ALL_DEVICES)
    return [*(Right(SEND, one) for one in sent), *_heard(PATTERN, *heard)]


def of_engineers() -> list[Right]:
    """They may ask for `#`, as tools do; what they hear is the city's and the broker's own."""
    heard = (topics.ALL, topics.BROKER, topics.ALL_DEVICES)
    return [Right(PATTERN, "#"), *(Right(HEAR, one) for one in heard)]


def of_control() -> list[Right]:
    """It commands, hears the answers, and says `offline` for a router that was cut off."""
    return [
        Right(SEND, topics.COMMANDS),
        Right(SEND, topics.ALL_STATUSES),
        *_heard(EXACT, topics.COMMAND_ANSWERS),
        *_heard(PATTERN, topics.ALL_STATUSES),
    ]


def _heard(how: str, *wanted: str) -> Iterator[Right]:
    for topic in wanted:
        yield Right(how, topic)
        yield Right(HEAR, topic)
