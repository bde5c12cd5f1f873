"""The configuration for Telegraf reads what the contract has, as Telegraf's parser would.

Rule: Telegraf is not run. What it does with a message is done here, by the rules of its `json_v2`.
"""

import json
import tomllib
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from tests.project.sources import ROOT
from tests.project.test_wire_docs import EXAMPLES
from tests.wire.strategies import messages
from titik_wire import topics
from titik_wire.city_messages import Now
from titik_wire.codec import decode, encode
from tools import contract

(INPUT,) = tomllib.loads((ROOT / "deploy/telegraf/titik.conf").read_text())["inputs"][
    "mqtt_consumer"
]
(PARSER,) = INPUT["json_v2"]
LAYOUT = "2006-01-02T15:04:05.000Z"  # how Go writes a layout
KINDS: dict[str, Any] = {"int": int, "float": float, "bool": bool, "string": str}
NOWS = [decode(topic, payload) for topic, payload in EXAMPLES if topics.parse(topic).kind == "now"]


@dataclass(frozen=True)
class Metric:
    """What Telegraf makes of one message."""

    tags: dict[str, Any]
    fields: dict[str, Any]
    at_ms: int


def parsed(payload: bytes) -> Metric:
    """AssertionError where Telegraf would drop the message."""
    message = json.loads(payload)
    assert LAYOUT == PARSER["timestamp_format"]
    at = datetime.strptime(message[PARSER["timestamp_path"]], "%Y-%m-%dT%H:%M:%S.%fZ")
    found: dict[str, Any] = {}
    for one in (*PARSER["tag"], *PARSER["field"]):
        name = one["path"]
        assert name in message or one.get("optional"), name
        if name in message:
            assert type(message[name]) is KINDS[one.get("type", "string")], name
            found[name] = message[name]
    tags = {one["path"]: found.pop(one["path"]) for one in PARSER["tag"]}
    return Metric(tags, found, round(at.replace(tzinfo=UTC).timestamp() * 1000))


def expected(message: Now) -> Metric:
    """All that is known; what is absent is absent."""
    known = {one.name: getattr(message, one.name) for one in fields(Now)}
    tags = {name: known.pop(name) for name in ("scope", "name")}
    at_ms = known.pop("at")
    return Metric(tags, {name: one for name, one in known.items() if one is not None}, at_ms)


@pytest.mark.parametrize("message", NOWS, ids=str)
def test_a_metric_has_all_that_an_example_has(message: Now) -> None:
    """Absent is neither a zero nor an error."""
    assert expected(message) == parsed(encode(message))


@given(messages(Now))
def test_no_message_of_ours_is_dropped(message: Now) -> None:
    """Whatever is absent, and whatever a figure is."""
    assert expected(message) == parsed(encode(message))


def test_every_path_is_a_field_and_may_be_absent_where_the_contract_says_so() -> None:
    """A path that must be there would drop a message, and one too few a figure."""
    paths = {one["path"]: one.get("optional", False) for one in (*PARSER["tag"], *PARSER["field"])}
    described = {one.name: not one.required for one in contract.described(Now)}
    assert described == paths | {PARSER["timestamp_path"]: False}
