"""Topics: built and read back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titik_wire import WireError, topics
from titik_wire.kinds import SLUG
from titik_wire.topics import Address

SLUGS = st.from_regex(SLUG, fullmatch=True)
SCOPES = st.sampled_from(["router", "site"])
WINDOWS = st.sampled_from(["1m", "1h", "1d"])


@given(SLUGS)
def test_a_router_s_topics_read_back(router: str) -> None:
    """Each of the four leaves names its router."""
    assert Address("status", router) == topics.parse(topics.status(router))
    assert Address("sample", router) == topics.parse(topics.sample(router))
    assert Address("backlog", router) == topics.parse(topics.backlog(router))
    assert Address("ack", router) == topics.parse(topics.ack(router))


@given(SLUGS, SCOPES, WINDOWS)
def test_the_collector_s_topics_read_back(name: str, scope: str, window: str) -> None:
    """Presence, now and rollups name what they are about."""
    assert Address("collector", name) == topics.parse(topics.collector(name))
    assert Address("now", name, scope) == topics.parse(topics.now(scope, name))
    assert Address("rollup", name, scope, window) == topics.parse(
        topics.rollup(window, scope, name)
    )


@given(SLUGS, WINDOWS)
def test_the_city_has_no_name_in_its_topics(name: str, window: str) -> None:
    """There is one city to a broker."""
    assert Address("now", None, "city") == topics.parse(topics.now("city", name))
    assert Address("rollup", None, "city", window) == topics.parse(
        topics.rollup(window, "city", name)
    )


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "titik/v1/router/tirosa-1",
        "titik/v1/router/tirosa-1/sample/",
        "titik/v1/router/tirosa-1/sample\n",
        "/titik/v1/router/tirosa-1/sample",
        "titik/v2/router/tirosa-1/sample",
        "titik/v1/router/Tirosa/sample",
        "titik/v1/router/tirosa_1/sample",
        "titik/v1/router//sample",
        "titik/v1/router/+/sample",
        "titik/v1/router/#",
        f"titik/v1/router/{'x' * 65}/sample",
        "titik/v1/router/tirosa-1/will",
        "titik/v1/now/city/kupang",
        "titik/v1/now/district/oebobo",
        "titik/v1/rollup/5m/city",
        "titik/v1/router/tirosa-1\0/sample",
        "$SYS/broker/uptime",
    ],
)
def test_other_topics_are_refused(topic: str) -> None:
    """A reader that subscribes too widely meets a WireError, not a guess."""
    with pytest.raises(WireError, match="no such topic") as refused:
        topics.parse(topic)
    assert refused.value.path == "topic"


@pytest.mark.parametrize(
    ("subscription", "topic"),
    [
        (topics.ALL_SAMPLES, topics.sample("tirosa-1")),
        (topics.ALL_BACKLOGS, topics.backlog("tirosa-1")),
        (topics.ALL_STATUSES, topics.status("tirosa-1")),
        (topics.ALL_COLLECTORS, topics.collector("kupang")),
    ],
)
def test_a_subscription_covers_its_topics(subscription: str, topic: str) -> None:
    """`+` stands for one level and a final `#` for the rest."""
    pattern = re.escape(subscription).replace(r"\+", "[^/]+").replace(r"\#", ".+")
    assert re.fullmatch(pattern, topic)
