"""docs/wire.md and docs/asyncapi.json say what titik_wire does."""

import json
import re
import subprocess
from dataclasses import fields, is_dataclass
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, ValidationError

from tests.project.sources import ROOT
from tests.wire.examples import CASES
from tests.wire.strategies import MESSAGES, messages
from titik_agent.sampling.sampler import SHED_ORDER
from titik_wire import WireError, topics
from titik_wire.city_messages import Message
from titik_wire.codec import decode, encode
from titik_wire.messages import Sample
from titik_wire.packed import pack
from tools import asyncapi, contract, tables, write_docs

PAGE = (ROOT / "docs" / "wire.md").read_text()
DOCUMENT = asyncapi.document()
EXAMPLE = re.compile(r"^`(titik/\S+)`\n+```json\n(.+?)```", re.M | re.S)
EXAMPLES = [(topic, body.encode()) for topic, body in EXAMPLE.findall(PAGE)]
SLUGS = {"{router}": "tirosa-1", "{collector}": "kupang", "{name}": "tirosa-1", "{window}": "1h"}
SLUGS |= {"{scope}": "site", "{kind}": "site-offline"}


def validate(cls: type[Message], payload: bytes) -> None:
    """Hold a payload to the JSON Schema of its message."""
    reference = {"$ref": f"#/components/schemas/{cls.__name__}"}
    root = {**reference, "components": DOCUMENT["components"]}
    Draft7Validator(root).validate(json.loads(payload))


@pytest.mark.parametrize("path", write_docs.current(), ids=lambda path: path.name)
def test_the_generated_parts_are_current(path: Any) -> None:
    """`make docs` was run after the last change of the contract."""
    assert write_docs.current()[path] == path.read_text()


@pytest.mark.parametrize(("topic", "payload"), EXAMPLES)
def test_every_example_is_a_message(topic: str, payload: bytes) -> None:
    """A reader of the page sees what is really on the wire."""
    message = decode(topic, payload)
    validate(type(message), payload)
    assert json.loads(payload) == json.loads(encode(message))


def test_the_lines_that_unpack_do() -> None:
    """Those of the page, executed as they stand there."""
    (block,) = re.findall(r"```python\n(.+?)```", PAGE, re.S)
    found: dict[str, Any] = {}
    exec(block, found)
    payload = encode(next(one for one, _, _ in CASES if isinstance(one, Sample)))
    assert [payload, payload] == [found["as_json"](one) for one in (payload, pack(payload))]


def test_the_lines_of_node_red_unpack() -> None:
    """Those of the page, in Node.js; a bomb is refused."""
    (block,) = re.findall(r"```js\n(.+?)```", PAGE, re.S)
    payload = encode(next(one for one, _, _ in CASES if isinstance(one, Sample)))
    bomb = pack(b" " * 1_000_000)
    given = [one.hex() for one in (payload, pack(payload), bomb)]
    look = (
        f"for (const one of {json.dumps(given)}) try {{"
        " console.log(asJson(Buffer.from(one, 'hex')).toString('hex'))"
        "} catch (error) { console.log(error.code) }"
    )
    shown = subprocess.run(
        ["node", "-e", block + look], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert [payload.hex(), payload.hex(), "ERR_BUFFER_TOO_LARGE"] == shown


def test_every_json_block_is_an_example() -> None:
    """None escapes the tests because a topic is missing above it."""
    assert PAGE.count("```json") == len(EXAMPLES)


def test_every_kind_of_message_has_an_example() -> None:
    """And samples have one of each topic."""
    assert {type(decode(topic, payload)) for topic, payload in EXAMPLES} == set(MESSAGES)
    assert {topics.parse(topic).kind for topic, _ in EXAMPLES} == set(get_args(topics.Kind))


@pytest.mark.parametrize("cls", contract.parts(), ids=lambda cls: cls.__name__)
def test_every_field_is_explained(cls: type[Any]) -> None:
    """The comment behind it is its description wherever it is described."""
    assert is_dataclass(cls)
    assert [field.name for field in contract.described(cls) if not field.meaning] == []


def test_the_example_with_every_source_has_every_section() -> None:
    """Except what only a merge, a full packet or a radio without a channel brings."""
    sections = {field.name for field in fields(Sample) if field.default is None}
    (body,) = re.findall(r"and every source:\n.+?```json\n(.+?)```", PAGE, re.S)
    assert sections - {"past", "truncated", "off_air"} == sections & set(json.loads(body))


def test_every_message_and_part_has_a_table() -> None:
    """A new dataclass gets a section of the page."""
    wanted = {cls.__name__ for cls in contract.parts()} - {"Held"}  # described in words at `spool`
    tabled = {found[3] for found in tables.MARKED.finditer(PAGE) if found[2] == "fields"}
    assert wanted == tabled


def test_the_page_says_where_each_field_of_a_sample_is_found_without_it() -> None:
    """Samples are packed, so who watched them with a plain tool looks elsewhere."""
    table = PAGE.partition("| in a sample | without samples |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", table))
    identity = {"router", "run", "first_seq", "seq", "boot"}
    assert {field.name for field in fields(Sample)} - identity == named


def test_the_page_shows_the_order_of_shedding() -> None:
    """What a long sample leaves out first is a promise."""
    section = PAGE.partition("## What is left out")[2].partition("\n## ")[0]
    assert list(SHED_ORDER) == re.findall(r"^\| \d+ \| `(.+)` \|$", section, re.M)


@pytest.mark.parametrize("channel", contract.CHANNELS, ids=lambda channel: channel.name)
def test_every_topic_is_one_that_readers_know(channel: contract.Channel) -> None:
    """The table of topics and topics.py agree on what is published where."""
    topic = re.sub(r"\{\w+\}", lambda found: SLUGS[found[0]], channel.address)
    carried = {row[1]: type(row[0]) for row in CASES}
    kinds = {topics.parse(topic).kind: message for topic, message in carried.items()}
    assert kinds.get(topics.parse(topic).kind, Sample) is channel.message


def test_every_topic_is_in_the_table() -> None:
    """All that topics.py can build stands in the document."""
    built = {
        topics.status("{router}"), topics.sample("{router}"), topics.backlog("{router}"),
        topics.ack("{router}"), topics.collector("{collector}"), topics.beat("{collector}"),
        topics.settings("{router}"), topics.certificate("{router}"), topics.upgrade("{router}"),
        topics.request("{router}"), topics.running("{router}"), topics.answer("{router}"),
        *(topics.now(scope, "{name}") for scope in ("router", "site", "city")),
        *(topics.rollup("{window}", scope, "{name}") for scope in ("router", "site", "city")),
        topics.alert("{scope}", "{name}", "{kind}"),
    }  # fmt: skip
    assert built == {channel["address"] for channel in DOCUMENT["channels"].values()}


@pytest.mark.thorough
@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_what_encode_writes_meets_its_schema(cls: type[Message], data: st.DataObject) -> None:
    """Any writer's message passes a reader that knows only the JSON Schema."""
    validate(cls, encode(data.draw(messages(cls))))


@pytest.mark.parametrize(("message", "payload"), [(m, p) for m, _, p in CASES])
def test_every_case_meets_its_schema(message: Message, payload: bytes) -> None:
    """The table of cases too."""
    validate(type(message), payload)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clients", -1), ("clients", 2**53), ("clients", "3"), ("clients", None), ("v", 2),
        ("run", "x" * 16), ("clock", "gps"), ("truncated", 1), ("taken_at", "2026-11-23"),
        ("spool", {"run": [1, 2]}), ("spool", {"0" * 16: [1]}), ("host", {"temp_c": 1000}),
        ("radios", [{"name": "a\0"}]), ("radios", [{"name": "x" * 65}]), ("radios", [{}] * 17),
    ],
)  # fmt: skip
def test_the_schema_refuses_what_decode_refuses(field: str, value: Any) -> None:
    """The limits are in the schemas too."""
    payload = json.dumps({**json.loads(CASES[2][2]), field: value}).encode()
    with pytest.raises(WireError):
        decode(CASES[2][1], payload)
    with pytest.raises(ValidationError):
        validate(Sample, payload)


VERDICT = """
const { Parser } = require("@asyncapi/parser");
const text = require("fs").readFileSync("docs/asyncapi.json", "utf8");
new Parser().parse(text).then(({ document, diagnostics }) => {
  const found = diagnostics.filter((one) => one.severity < 2);
  console.log(JSON.stringify({ valid: document !== undefined, found }));
});
"""


@pytest.mark.system
def test_the_official_parser_finds_the_document_valid() -> None:
    """Errors and warnings of @asyncapi/parser; `make test` installs it."""
    done = subprocess.run(
        ["node", "-e", VERDICT], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == {"valid": True, "found": []}
