"""Every command, key, topic and link in the documents is one that exists."""

import contextlib
import re
import shlex
import time
import tomllib
from pathlib import Path

import click
import pytest

from tests.project.sources import ROOT
from tests.system.visitors import KINDS
from titik_agent import config as agent_config
from titik_agent.commands import titik_agent
from titik_collector.cli import titik
from titik_collector.config import model as server_config
from titik_collector.config import store_table
from titik_collector.rollups.worker import GRACE_MS
from titik_collector.store.database import Database
from titik_collector.store.sqlite import open_writer
from tools import contract

PAGES = [
    ROOT / name
    for name in (
        "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md", "docs/config.md",
        "docs/fleet.md", "docs/high-availability.md", "docs/integrations.md",
        "docs/operating.md", "docs/privacy.md", "docs/routers.md", "docs/standby.md",
        "docs/web.md", "docs/wire.md", "docs/words.md",
    )
]  # fmt: skip
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PROGRAMS = {"titik": titik, "titik-agent": titik_agent}
LINUX = {
    "apk", "apt-get", "cd", "chmod", "chown", "cp", "curl", "docker", "echo", "etcdctl", "export",
    "git", "journalctl", "litestream", "logread", "mkdir", "mosquitto_pub", "mosquitto_sub", "mv",
    "opkg", "opkg-key", "patronictl", "pgbackrest", "pip", "python", "python3", "rm", "scp", "sed",
    "service", "sh", "split", "sqlite3", "ssh", "sudo", "systemctl", "tee", "uci", "usign", "wget",
}  # fmt: skip
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def blocks(language: str) -> list[tuple[str, str]]:
    """Every fenced block in a language, with the name of its page."""
    return [
        (page.name, body)
        for page in PAGES
        if page.exists()
        for found, body in BLOCK.findall(page.read_text())
        if found == language
    ]


def commands() -> list[tuple[str, str]]:
    """Every command line that a page asks its reader to type."""
    joined = [(page, body.replace("\\\n", " ")) for page, body in blocks("sh")]
    lines = [(page, line.strip()) for page, body in joined for line in body.splitlines()]
    return [(page, line) for page, line in lines if line and not line.startswith("#")]


def test_the_demo_s_length_in_the_readme_shows_a_rollup() -> None:
    """It begins within a minute, which is computed when its grace is over."""
    (seconds,) = re.findall(r"--for (\d+)", (ROOT / "README.md").read_text())
    assert 60 + GRACE_MS // 1000 < int(seconds)


def test_every_line_of_the_agents_log_is_explained() -> None:
    """By its event, which is what a technician searches for."""
    output = set()
    for file in (ROOT / "agent/titik_agent").rglob("*.py"):
        found = re.findall(r'log\.(?:info|warning|error)\(\s*"([^"]*)"', file.read_text())
        output |= {re.split(r"[:,]? \w+=|, |: ", one)[0] for one in found if one != "%s"}
    page = (ROOT / "docs/routers.md").read_text()
    assert [] == sorted(one for one in output if f"`{one}" not in page and one not in page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_there(page: Path) -> None:
    """And says something."""
    assert page.read_text().startswith("# ")


@pytest.mark.parametrize(("page", "line"), commands())
def test_every_command_can_be_typed(page: str, line: str) -> None:
    """Programs, subcommands, options and make targets are as written."""
    for part in re.split(r"\s(?:\||&&)\s", line):
        words = shlex.split(part, comments=True)
        while words and (words[0] == "sudo" or re.fullmatch(r"[A-Z_]+=.*", words[0])):
            words.pop(0)
        program = Path(words[0]).name
        if program in PROGRAMS:
            parse(PROGRAMS[program], words[1:])
        elif program == "make":
            goals = {word for word in words[1:] if "=" not in word and not word.startswith("-")}
            assert goals <= TARGETS, page
        else:
            assert program in LINUX, page


def parse(command: click.Command, words: list[str]) -> None:
    """Walk down to the subcommand and let it read its options; nothing is run."""
    context = click.Context(command, resilient_parsing=True)
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        _, below, _ = command.resolve_command(context, words)
        assert below is not None, f"no such command: {words[0]}"
        parse(below, words[1:])
    else:
        command.parse_args(context, list(words))


def test_pip_installs_what_is_there() -> None:
    """The clone, with extras that it has: nothing of ours is on PyPI."""
    lines = [shlex.split(line, comments=True) for _, line in commands()]
    typed = {word for words in lines if words[:2] == ["pip", "install"] for word in words[2:]}
    given = {f".[{one}]" for word in typed for one in word.removeprefix(".").strip("[]").split(",")}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {".[]", *(f".[{name}]" for name in extras["optional-dependencies"])}
    assert typed
    assert given <= known
    assert all(word.startswith(".") for word in typed)


def test_the_last_whole_hour_is_every_sites(tmp_path: Path) -> None:
    """The statement of operating.md, as it is there; the hour that runs is not over."""
    (statement,) = (body for _, body in blocks("sql") if "v_rollup" in body)
    hour_ms = 3_600_000
    now_ms = time.time_ns() // 1_000_000 // hour_ms * hour_ms
    with contextlib.closing(open_writer(tmp_path / "db")) as db:
        for number in range(1, 13):
            name = f"site-{number:02}"
            db.execute(
                "INSERT INTO site (id, name, title, registered) VALUES (?, ?, ?, 1)",
                (number, name, name),
            )
            for back in range(3):
                add_hour(db, number, now_ms - back * hour_ms)
        rows = db.execute(statement).fetchall()
    expected = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((now_ms - hour_ms) / 1000))
    assert [f"site-{number:02}" for number in range(1, 13)] == [row[0] for row in rows]
    assert {expected} == {row[1] for row in rows}


def add_hour(db: Database, site: int, start_ms: int) -> None:
    """A rollup of an hour; whatever must be there is 0."""
    columns: dict[str, object] = {
        name: 0
        for _, name, _, required, default, _ in db.execute("PRAGMA table_info(rollup)")
        if required and default is None
    }
    given = {"scope": "site", "scope_id": site, "length": "1h", "start_ms": start_ms}
    columns |= given | {"end_ms": start_ms + 3_600_000, "routers": 1}
    marks = ", ".join("?" * len(columns))
    db.execute(
        f"INSERT INTO rollup ({', '.join(columns)}) VALUES ({marks})", list(columns.values())
    )


SCOPES = ("router", "site", "city", "server")  # of an alert


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_topic_is_one_of_the_contract(page: Path) -> None:
    """Whole, as a pattern for subscribers, or as the beginning of some."""
    addresses = [
        re.sub(r"\{\w+\}", "1m", channel.address.replace("{scope}", scope))
        for channel in contract.CHANNELS
        for scope in SCOPES
    ]
    unknown = [
        topic
        for topic in re.findall(r"titik/v1/[^\s`'\"),]*", page.read_text())
        if not any(re.fullmatch(as_pattern(topic), address) for address in addresses)
    ]
    assert unknown == []


def as_pattern(topic: str) -> str:
    """`+`, `{name}`, `<name>` and names stand for one level, `#` or a final `/` for the rest."""
    known = {"router", "site", "city", "now", "rollup", "collector"}
    known |= {"status", "sample", "backlog", "ack", "alert", "server"}
    levels = topic.removesuffix("#").removesuffix("/").split("/")
    pattern = "/".join(
        level if n < 2 or level in known else r"[^/]+" for n, level in enumerate(levels)
    )
    return pattern + ("(/.+)?" if topic.endswith(("#", "/")) else "")


@pytest.mark.parametrize(("page", "body"), blocks("toml"))
def test_every_configuration_is_accepted(page: str, body: str, tmp_path: Path) -> None:
    """A block says on its first line which file it is."""
    file = tmp_path / body.splitlines()[0].removeprefix("#").strip()
    file.write_text(body)
    match file.name:
        case "agent.toml":
            agent_config.load(str(file))
        case "titik.toml":
            server_config.load(file)
        case other:
            raise AssertionError(f"{page}: {other} is no configuration")


@pytest.mark.parametrize("key", agent_config.RANGES)
def test_the_range_of_an_agents_key_is_in_its_table(key: str) -> None:
    """As the error says it."""
    table, _, name = key.rpartition(".")
    section = f"### `[{table}]`" if table else "### Outside any table"
    rows = (ROOT / "docs/config.md").read_text().partition(section)[2].partition("###")[0]
    (row,) = [one for one in rows.splitlines() if one.startswith(f"| `{name}` |")]
    low, high = agent_config.RANGES[key]
    assert f"| whole number from {low} to {high} |" in row


def test_the_example_city_is_accepted() -> None:
    """The file that the demo runs on."""
    city = server_config.load(ROOT / "examples" / "kupang.toml")
    assert len(city.site) == 10


@pytest.mark.parametrize(
    "page", sorted({*PAGES, *(ROOT / "docs").glob("*.md")}), ids=lambda page: page.name
)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative ones; the web is not ours."""
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    """`test_x` in `tests/y.py`, or a file alone."""
    text = page.read_text()
    files = re.findall(r"`(tests/[\w/]+\.py)`", text)
    assert [file for file in files if not (ROOT / file).exists()] == []
    named = re.findall(r"`(test_\w+)` in `(tests/[\w/]+\.py)`", text)
    assert len(re.findall(r"`test_\w+`", text)) == len(named)
    assert [name for name, file in named if f"\ndef {name}(" not in (ROOT / file).read_text()] == []


def test_the_privacy_page_says_how_long_the_store_keeps() -> None:
    """As the configuration has it."""
    text = (ROOT / "docs/privacy.md").read_text()
    output = dict(re.findall(r"`store\.(\w+_days)`, (\d+) if not set", text))
    assert {
        "messages_days": str(store_table.Store(path=Path("db")).messages_days),
        "samples_days": str(store_table.SAMPLES_DAYS),
        "minutes_days": str(store_table.MINUTES_DAYS),
    } == output


def test_the_privacy_page_says_how_many_spellings_are_searched() -> None:
    """`KINDS` of the test that lives through a day."""
    output = re.search(r"\b(\d+) spellings", (ROOT / "docs/privacy.md").read_text())
    assert output is not None
    assert str(len(KINDS)) == output[1]


def test_every_test_that_the_security_page_names_is_there() -> None:
    """A promise without one is not made."""
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(test_\w+)`", page)
    rooms = ("accounts", "agent", "broker", "collector", "openwrt", "public", "system", "web")
    folders = [ROOT / "tests" / name for name in rooms]
    tests = "".join(file.read_text() for one in folders for file in one.glob("test_*.py"))
    assert len(named) > 15
    assert [name for name in named if f"def {name}(" not in tests] == []
