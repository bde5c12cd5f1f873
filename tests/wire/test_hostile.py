"""What breaks naive collectors, impostors and later contracts: each gets its rule."""

import json
from typing import Any

import pytest

from tests.wire.examples import BARE_SAMPLE, CASES, RUN
from titik_wire import UnknownVersion, WireError, topics
from titik_wire.codec import decode, encode, identity
from titik_wire.limits import MAX_PAYLOAD
from titik_wire.messages import Ack, AckedRun, Held, Sample

TOPIC = topics.sample("tirosa-1")
GOOD = encode(BARE_SAMPLE)


def with_field(name: str, value: Any) -> bytes:
    """A good sample with one field set to any JSON value."""
    return json.dumps({**json.loads(GOOD), name: value}).encode()


def with_text(name: str, value: str) -> bytes:
    """The same, the value in JSON's own words."""
    return GOOD[:-1] + f',"{name}":{value}}}'.encode()


# (what it is, the bytes, the field that the error names, what the error says)
HOSTILE: list[tuple[str, bytes, str, str]] = [
    # How deep is too deep depends on the interpreter; beyond it, the list is cut short.
    ("a list nested deeper than the parser's stack", b"[" * MAX_PAYLOAD, "", ""),
    ("an object nested so", b'{"a":' * (MAX_PAYLOAD // 5), "", ""),
    ("a field nested so", with_text("x", "[" * 9000)[:-1], "", ""),
    ("more bytes than allowed", GOOD + b" " * MAX_PAYLOAD, "", "at most"),
    ("nothing", b"", "", "not JSON"),
    ("half a message", GOOD[:-1], "", "not JSON"),
    ("two messages", GOOD + GOOD, "", "not JSON"),
    ("no object", b"[]", "", "not a JSON object"),
    ("null", b"null", "", "not a JSON object"),
    ("bytes that are no UTF-8", b'{"v":"\xff"}', "", "UTF-8"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "", "UTF-8"),
    ("UTF-32", GOOD.decode().encode("utf-32-le"), "", "not JSON"),
    ("a byte order mark", b"\xef\xbb\xbf" + GOOD, "", "not JSON"),
    ("NaN", with_text("clients", "NaN"), "", "NaN is not JSON"),
    ("Infinity", with_text("clients", "-Infinity"), "", "Infinity is not JSON"),
    ("a float that overflows", with_text("host", '{"load_1m":1e999}'), "host.load_1m", "must be"),
    ("a count that overflows", with_text("clients", "1e999"), "clients", "whole"),
    ("a number of 5000 digits", with_text("clients", "9" * 5000), "", "not JSON"),
    ("a number of 4000 digits", with_text("clients", "9" * 4000), "clients", "must be"),
    ("2**63", with_field("clients", 2**63), "clients", "must be"),
    ("2**53", with_field("clients", 2**53), "clients", "must be"),
    ("a negative count", with_field("clients", -1), "clients", "must be"),
    ("true as a number", with_field("clients", True), "clients", "whole"),
    ("1 as true", with_field("truncated", 1), "truncated", "true or false"),
    ("a whole number with a point", with_text("clients", "3.0"), "clients", "whole"),
    ("a number as text", with_field("clients", "3"), "clients", "whole"),
    ("null as absent", with_field("clients", None), "clients", "whole"),
    ("a lone surrogate", with_text("clock", '"\\ud800"'), "clock", "one of"),
    ("one in free text", with_text("radios", '[{"name":"\\udfff"}]'), "radios[0].name", "control"),
    ("a NUL", with_field("radios", [{"name": "a\0"}]), "radios[0].name", "control"),
    ("a terminal escape", with_field("radios", [{"name": "\x1b[2J"}]), "radios[0].name", "control"),
    ("a newline", with_field("run", RUN + "\n"), "run", "at most 16"),
    ("a newline that fits", with_field("run", RUN[1:] + "\n"), "run", "must match"),
    ("a text too long", with_field("radios", [{"name": "x" * 65}]), "radios[0].name", "at most"),
    ("a list too long", with_field("radios", [{"name": "x"}] * 17), "radios", "at most"),
    ("a list for an object", with_field("agent", []), "agent", "object"),
    ("an object for a list", with_field("bss", {}), "bss", "list"),
    ("text for a list", with_field("bss", "phy0"), "bss", "list"),
    ("too many runs", with_field("spool", {f"{n:016x}": [] for n in range(33)}), "spool", "32"),
    ("a run that is none", with_field("spool", {"../../etc": []}), "spool", "must match"),
    ("half a span", with_field("spool", {RUN: [1]}), f"spool.{RUN}", "first, last"),
    ("a span backwards", with_field("spool", {RUN: [2, 1]}), f"spool.{RUN}", "first, last"),
    ("a time before 1970", with_field("taken_at", "1969-12-31T23:59:59.999Z"), "taken_at", "1970"),
    ("a leap second", with_field("taken_at", "2016-12-31T23:59:60.000Z"), "taken_at", "no such"),
    (
        "a local time",
        with_field("taken_at", "2026-11-23T03:04:05.120+08:00"),
        "taken_at",
        "instant",
    ),
    ("a month 0", with_field("taken_at", "2026-00-23T03:04:05.120Z"), "taken_at", "no such"),
    ("year 0", with_field("taken_at", "0000-01-01T00:00:00.000Z"), "taken_at", "1970"),
    ("other digits", with_field("taken_at", "٢٠٢٦-11-23T03:04:05.120Z"), "taken_at", "instant"),
    (
        "two across blocks",
        GOOD.replace(b'_seq":184,"seq":184', b'_seq":182,"seq":183'),
        "first_seq",
        "aligned",
    ),
    (
        "four across",
        GOOD.replace(b'_seq":184,"seq":184', b'_seq":183,"seq":186'),
        "first_seq",
        "aligned",
    ),
    ("a range of three", with_field("first_seq", 182), "first_seq", "182 to 184"),
    ("a range backwards", with_field("first_seq", 185), "first_seq", "aligned"),
    ("seq 0", with_field("seq", 0), "seq", "must be"),
    ("a missing field", b'{"v":1}', "router", "missing"),
    ("no version", GOOD.replace(b'"v":1,', b""), "v", "whole number"),
    ("version 0", with_field("v", 0), "v", "from 1"),
    ("version true", with_field("v", True), "v", "whole number"),
    ("version 1.0", with_text("v", "1.0"), "v", "whole number"),
    ("another author", GOOD.replace(b"tirosa-1", b"tirosa-2"), "topic", "another author"),
    (
        "minimum above maximum",
        with_text("clients_min", '2,"clients_max":1'),
        "clients_min",
        "above",
    ),
    (
        "one counter twice",
        with_field(
            "net",
            [
                {
                    "ifname": "wan",
                    "role": "uplink",
                    "up": True,
                    "since": "b",
                    "rx_bytes": n,
                    "tx_bytes": n,
                }
                for n in (1, 2)
            ],
        ),
        "net[1]",
        "repeats",
    ),
]


@pytest.mark.parametrize(
    ("payload", "path", "rule"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
def test_hostile_json_breaks_a_named_rule(payload: bytes, path: str, rule: str) -> None:
    """The collector refuses it, names the field and goes on."""
    with pytest.raises(WireError) as refused:
        decode(TOPIC, payload)
    assert path == refused.value.path
    assert rule in refused.value.rule
    assert not isinstance(refused.value, UnknownVersion)


@pytest.mark.parametrize("payload", [row[1] for row in HOSTILE], ids=[row[0] for row in HOSTILE])
def test_the_identity_of_hostile_json_is_a_block_or_nothing(payload: bytes) -> None:
    """What cannot be read is accounted as refused only under a range that a run can have."""
    found = identity(payload)
    if found is not None:
        run, first, last = found
        assert RUN == run
        assert (first - 1) % (last - first + 1) == 0


def test_the_identity_of_a_refused_sample_is_read_alone() -> None:
    """One bad field does not hide which sample it was."""
    assert (RUN, 184, 184) == identity(with_field("clients", -1))


def test_a_refused_sample_without_first_seq_stands_for_its_own_seq() -> None:
    """A single sample covers its seq; a reader needs no more to account for it."""
    plain = json.loads(GOOD)
    del plain["first_seq"]
    assert (RUN, 184, 184) == identity(json.dumps(plain).encode())


def test_the_last_of_equal_keys_counts() -> None:
    """JSON leaves it open; one rule, written down, keeps two readers from disagreeing."""
    message = decode(TOPIC, with_text("clients", '1,"clients":2'))
    assert isinstance(message, Sample)
    assert message.clients == 2


def test_unknown_fields_are_ignored() -> None:
    """A later writer may add fields without a new version, at every level."""
    plain = json.loads(GOOD)
    plain["new"] = {"deep": [1, None]}
    plain["agent"]["new"] = None
    assert BARE_SAMPLE == decode(TOPIC, json.dumps(plain).encode())


@pytest.mark.parametrize(("topic", "payload"), [row[1:] for row in CASES])
def test_a_later_version_is_kept_not_refused(topic: str, payload: bytes) -> None:
    """The router keeps such a message until the collector is upgraded."""
    later = payload.replace(b'"v":1', b'"v":2', 1)
    with pytest.raises(UnknownVersion, match="2 is a later contract"):
        decode(topic, later)


def test_a_later_version_may_change_everything_else() -> None:
    """`v` is looked at before any other field."""
    with pytest.raises(UnknownVersion):
        decode(TOPIC, b'{"v":2}')


@pytest.mark.parametrize(
    ("topic", "of"),
    [
        ("titik/v1/router/tirosa-2/sample", 2),
        ("titik/v1/router/tirosa-2/backlog", 2),
        ("titik/v1/router/tirosa-2/status", 0),
        ("titik/v1/collector/other/status", 6),
        ("titik/v1/now/site/other", 7),
        ("titik/v1/now/router/taman-tirosa", 7),
        ("titik/v1/now/city", 7),
        ("titik/v1/rollup/1h/router/tirosa-1", 9),
        ("titik/v1/rollup/1m/site/tirosa-1", 9),
        ("titik/v1/rollup/1m/router/tirosa-2", 9),
        ("titik/v1/rollup/1h/city", 10),
    ],
)
def test_an_author_writes_only_to_its_own_topic(topic: str, of: int) -> None:
    """The topic is the authenticated identity; a payload that names another is refused."""
    with pytest.raises(WireError, match="another author"):
        decode(topic, CASES[of][2])


def test_an_ack_takes_its_router_from_the_topic() -> None:
    """An ack does not repeat the router; a router that the payload claims is ignored."""
    payload = b'{"v":1,"router":"tirosa-2","runs":{}}'
    assert Ack("tirosa-1", ()) == decode(topics.ack("tirosa-1"), payload)


def test_an_acked_run_takes_its_name_from_the_key() -> None:
    """A `run` inside the value cannot rename it."""
    payload = f'{{"v":1,"runs":{{"{RUN}":{{"upto":1,"run":"{"0" * 16}"}}}}}}'.encode()
    assert Ack("tirosa-1", (AckedRun(RUN, 1),)) == decode(topics.ack("tirosa-1"), payload)


def test_a_payload_of_the_limit_is_read() -> None:
    """MAX_PAYLOAD bytes are allowed, one more is not."""
    assert BARE_SAMPLE == decode(TOPIC, GOOD.ljust(MAX_PAYLOAD))
    with pytest.raises(WireError, match="at most"):
        decode(TOPIC, GOOD.ljust(MAX_PAYLOAD + 1))


def test_encode_refuses_a_message_over_the_limit() -> None:
    """A broker would cut the sender off, so such a message never enters a spool."""
    runs = tuple(
        AckedRun(f"{n:016x}", 1, tuple((2**52 + k, 2**52 + k) for k in range(16)))
        for n in range(32)
    )
    with pytest.raises(WireError, match="at most 12288"):
        encode(Ack("tirosa-1", runs))


def test_an_ack_with_all_it_may_list_fits() -> None:
    """32 runs with 16 ranges each fit while seqs have 8 digits: 95 years at one in 30 s."""
    spans = tuple((99_999_900 + 2 * k, 99_999_900 + 2 * k) for k in range(16))
    runs = tuple(AckedRun(f"{n:016x}", 99_999_899, spans) for n in range(32))
    assert len(encode(Ack("tirosa-1", runs))) <= MAX_PAYLOAD


def test_a_spool_of_all_the_runs_it_may_list_leaves_room() -> None:
    """The spool's map takes at most an eighth of a payload at 8 digits."""
    spool = tuple(Held(f"{n:016x}", (99_999_998, 99_999_999)) for n in range(32))
    taken = len(encode(Sample(**{**plain_fields(), "spool": spool}))) - len(GOOD)
    assert taken <= MAX_PAYLOAD // 8


def plain_fields() -> dict[str, Any]:
    """The fields of the bare sample."""
    return {name: getattr(BARE_SAMPLE, name) for name in Sample.__dataclass_fields__}
