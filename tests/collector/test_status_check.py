"""`titik status --check` and `--json`: what scripts rely on."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.collector.test_status import CITY, screen
from titik_collector.cli import titik
from titik_collector.config import model
from titik_collector.own_state.collector_state import CollectorState, StateFile
from titik_collector.queries import status_check, status_json
from titik_collector.queries.server_warnings import Server, Warned
from titik_collector.queries.status import CityStatus, Line, RouterStatus, SiteStatus
from titik_collector.queries.status_check import CRITICAL, OK, WARNING, Limits
from titik_collector.store.lease import held
from titik_collector.store.sqlite import open_writer
from titik_wire.city_messages import Now

AT = 1_795_400_000_000
DOCS = Path(__file__).parents[2] / "docs" / "operating.md"
WELL = Server(None, (), 400)
USUAL = Limits(away=1, away_critical=0, lost=1, cert_days=60)


def router(name: str, state: str = "online", site: str = "tirosa", lost: int = 0) -> RouterStatus:
    """One router in a state."""
    online = int(state == "online")
    now = Now("router", name, state, AT, 0, online, 1)  # type: ignore[arg-type]
    problems = () if state == "online" else (f"{state} for 5 min",)
    line = Line(name, now, 1.0, 0, lost, lost)
    return RouterStatus(line, site, AT, None, "0.1.0", None, None, (), None, problems)


def city(*sites: tuple[str, list[RouterStatus]]) -> CityStatus:
    """Sites by name with their routers."""
    built = []
    for name, routers in sites:
        online = sum(one.now.routers_online for one in routers)
        state = "online" if online else "offline"
        now = Now("site", name, state, AT, 0, online, len(routers))  # type: ignore[arg-type]
        built.append(SiteStatus(Line(name, now, 1.0, 0, 0, 0), tuple(routers)))
    every = [one for _, routers in sites for one in routers]
    online = sum(one.now.routers_online for one in every)
    lost = sum(one.line.lost_today for one in every)
    now = Now("city", "kupang", "online", AT, 0, online, len(every), clients=12)
    return CityStatus(
        AT, Line("City", now, 1.0, 0, lost, lost), tuple(built), (), (), (), (9, 9, 0, 0, 0)
    )


BOTH = [router("tirosa-1"), router("tirosa-2")]
ONE_AWAY = [router("tirosa-1"), router("tirosa-2", "offline")]
GONE = [router("solor-1", "offline", "solor")]
CASES = [
    ("all is well", city(("tirosa", BOTH)), WELL, USUAL, OK, "2 of 2 routers online"),
    (
        "one of two is away",
        city(("tirosa", ONE_AWAY)),
        WELL,
        USUAL,
        WARNING,
        "1 router away: tirosa-2",
    ),
    ("silent is away", city(("a", [BOTH[0], router("b", "silent")])), WELL, USUAL, WARNING, "b"),
    (
        "so few away are fine",
        city(("tirosa", ONE_AWAY)),
        WELL,
        replace(USUAL, away=2),
        OK,
        "1 of 2",
    ),
    (
        "so many away are critical",
        city(("tirosa", ONE_AWAY)),
        WELL,
        replace(USUAL, away_critical=1),
        CRITICAL,
        "1 router away",
    ),
    (
        "a site without any router",
        city(("tirosa", BOTH), ("solor", GONE)),
        WELL,
        USUAL,
        CRITICAL,
        "1 site without a router online: solor",
    ),
    (
        "the city is mute",
        city(("solor", GONE)),
        WELL,
        USUAL,
        CRITICAL,
        "none of 1 routers is online |",
    ),
    (
        "nobody knows whether the server is",
        city(("solor", GONE)),
        replace(WELL, is_line_tested=False),
        USUAL,
        CRITICAL,
        "1 routers is online (or the server's own line is cut; to know it, set line in [alerts]) |",
    ),
    (
        "samples are lost",
        city(("tirosa", [router("tirosa-1", lost=3)])),
        WELL,
        USUAL,
        WARNING,
        "3 samples lost in 24 h",
    ),
    (
        "losses are fine",
        city(("a", [router("a", lost=3)])),
        WELL,
        replace(USUAL, lost=0),
        OK,
        "1 of 1",
    ),
    (
        "a certificate ends",
        city(("tirosa", BOTH)),
        replace(WELL, expires_days=59),
        USUAL,
        WARNING,
        "a certificate ends in 59 days",
    ),
    ("it ends later", city(("a", BOTH)), replace(WELL, expires_days=60), USUAL, OK, "2 of 2"),
    (
        "a router was never heard",
        city(("tirosa", [BOTH[0], router("tirosa-2", "unknown")])),
        WELL,
        USUAL,
        WARNING,
        "1 router not heard: tirosa-2",
    ),
    (
        "a source cannot be read",
        city(("tirosa", [replace(BOTH[0], failed=("hostapd",)), BOTH[1]])),
        WELL,
        USUAL,
        WARNING,
        "1 router cannot read a source: tirosa-1 (hostapd)",
    ),
    (
        "what a router that is away could not read is nothing new",
        city(("tirosa", [BOTH[0], replace(ONE_AWAY[1], failed=("hostapd",))])),
        WELL,
        replace(USUAL, away=2),
        OK,
        "1 of 2 routers online",
    ),
    (
        "the server fails, and hides the rest",
        city(("solor", GONE)),
        Server(None, (Warned("critical", "nothing is stored for 63 s: disk full"),), None),
        USUAL,
        CRITICAL,
        "TITIK CRITICAL - nothing is stored for 63 s: disk full |",
    ),
    ("an empty city is fine", city(), WELL, USUAL, OK, "0 of 0 routers online"),
]


@pytest.mark.parametrize(
    ("found", "server", "limits", "code", "text"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_a_check_says_how_bad_it_is(
    found: CityStatus, server: Server, limits: Limits, code: int, text: str
) -> None:
    """By the convention of the monitoring plugins: a level, a reason, and figures behind a bar."""
    got, line = status_check.check(found, server, limits)

    assert code == got
    assert text in line
    assert re.fullmatch(r"TITIK (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+ \| [^|\n]+", line)


def test_figures_of_a_check_are_performance_data() -> None:
    """Each is label=value;warn;crit;min;max."""
    _, line = status_check.check(city(("tirosa", ONE_AWAY)), WELL, USUAL)
    data = line.split(" | ")[1].split()

    assert [
        "routers_online=1;;;0;2",
        "routers_away=1;0;;0;2",
        "lost_24h=0;0;;0;",
        "clients=12;;;0;",
        "cert_days=400;60:;;;",
    ] == data


def run(tmp_path: Path, *arguments: str) -> Result:
    """`titik status` in the folder."""
    return CliRunner().invoke(
        titik, ["status", "--config", str(tmp_path / "titik.toml"), *arguments]
    )


def failing(tmp_path: Path) -> CollectorState:
    """A collector whose disk is full, which says so in its file."""
    settings = model.load(tmp_path / "titik.toml")
    state = CollectorState(
        "main", 1, AT, AT - 63_000, connected=True, store_problem="database or disk is full"
    )
    StateFile(settings.state_files).write(state)
    return state


def a_city(tmp_path: Path, rest: str = "") -> None:
    """A store with one router online, and the configuration."""
    screen(tmp_path)
    text = CITY + f'[collector]\nstate = "{tmp_path / "state.json"}"\n{rest}'
    (tmp_path / "titik.toml").write_text(text)


def test_a_full_disk_is_critical_and_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On every screen, with the reason; plain status exits 1."""
    a_city(tmp_path)
    state = failing(tmp_path)
    monkeypatch.setattr("time.time_ns", lambda: state.at_ms * 1_000_000)
    with held(tmp_path / "db"):
        check, plain, one = run(tmp_path, "--check"), run(tmp_path), run(tmp_path, "tirosa-1")
        as_json = json.loads(run(tmp_path, "--json").stdout)

    reason = "nothing is stored for 63 s: database or disk is full"
    assert (2, 1, 1) == (check.exit_code, plain.exit_code, one.exit_code)
    assert check.output.startswith(f"TITIK CRITICAL - {reason} |")
    for shown in (plain, one):
        assert f"critical: {reason}" == shown.output.splitlines()[0]
    assert (True, False, reason) == (
        as_json["server"]["fails"],
        as_json["server"]["storing"],
        as_json["server"]["warnings"][0]["text"],
    )


def test_a_store_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    """Unless the collector's file says what is wrong: that is critical."""
    a_city(tmp_path)
    (tmp_path / "db").write_bytes(b"no database")
    for end in ("-wal", "-shm"):
        (tmp_path / f"db{end}").unlink(missing_ok=True)
    with held(tmp_path / "db"):
        first = run(tmp_path, "--check")
        failing(tmp_path)
        second = run(tmp_path, "--check")

    assert (3, 2) == (first.exit_code, second.exit_code)
    assert first.output.startswith("TITIK UNKNOWN - ")
    assert second.output.startswith("TITIK CRITICAL - the collector has not reported for ")


def test_without_a_configuration_a_check_is_unknown(tmp_path: Path) -> None:
    """One line, no traceback."""
    got = run(tmp_path, "--check")

    assert 3 == got.exit_code
    assert got.output.startswith("TITIK UNKNOWN - ")
    assert 1 == len(got.output.splitlines())


def test_without_a_collector_a_check_is_critical(tmp_path: Path) -> None:
    """Because the server fails then, whatever the store remembers; plain status exits 1."""
    a_city(tmp_path)
    check, plain = run(tmp_path, "--check"), run(tmp_path)

    assert (2, 1) == (check.exit_code, plain.exit_code)
    assert check.output.startswith("TITIK CRITICAL - no collector is running; the last report")


def test_a_healthy_city_exits_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a collector that holds the store."""
    a_city(tmp_path)
    monkeypatch.setattr("time.time_ns", lambda: AT * 1_000_000 + 125_000_000_000)
    with held(tmp_path / "db"):
        plain, problems = run(tmp_path), run(tmp_path, "--problems")

    assert (0, 0) == (plain.exit_code, problems.exit_code)
    assert [
        "2 of 2 routers have a problem:",
        "  solor-1 at solor: never heard",
        "  tirosa-1 at taman-tirosa: 1 sample lost in 24 h",
    ] == problems.output.splitlines()


def test_json_names_every_router_and_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`now` has the fields of the topic; what is not known is absent."""
    a_city(tmp_path)
    monkeypatch.setattr("time.time_ns", lambda: AT * 1_000_000 + 125_000_000_000)
    with held(tmp_path / "db"):
        got = json.loads(run(tmp_path, "--json").stdout)
        one = json.loads(run(tmp_path, "--json", "tirosa-1").stdout)
        site = json.loads(run(tmp_path, "--json", "taman-tirosa").stdout)

    routers = {one["name"]: one for one in got["routers"]}
    assert {"solor-1", "tirosa-1"} == set(routers)
    assert ("kupang", "Kota Kupang") == (got["city"]["name"], got["city"]["title"])
    assert ("online", 3) == tuple(routers["tirosa-1"]["now"][name] for name in ("state", "clients"))
    assert ("unknown", ["never heard"]) == (
        routers["solor-1"]["now"]["state"],
        routers["solor-1"]["problems"],
    )
    assert "clients" not in routers["solor-1"]["now"]
    assert routers["tirosa-1"] == one["router"] == site["routers"][0]
    assert {"taken": 4, "stored": 3, "refused": 0, "lost": 1, "in_spool": 0} == got["city"][
        "samples"
    ]
    assert [("new-1", 1)] == [(one["name"], one["messages"]) for one in got["unregistered"]]


def test_every_field_of_json_is_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the table of docs/operating.md; those of `now` are in docs/wire.md."""
    a_city(tmp_path)
    failing(tmp_path)
    monkeypatch.setattr("time.time_ns", lambda: AT * 1_000_000 + 125_000_000_000)
    with held(tmp_path / "db"):
        got = json.loads(run(tmp_path, "--json").stdout)
    table = DOCS.read_text().split("`titik status --json` prints")[1].split("##")[0]
    named = set(re.findall(r"`(\w+)`", table))

    assert set() == set(_keys(got)) - named


def _keys(plain: object) -> Iterator[str]:
    if isinstance(plain, list):
        for one in plain:
            yield from _keys(one)
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield key
            if key not in ("now", "not_stored"):
                yield from _keys(value)


def test_an_unknown_name_is_a_usage_error(tmp_path: Path) -> None:
    """With what is near."""
    a_city(tmp_path)
    got = run(tmp_path, "tirosa1")

    assert 2 == got.exit_code
    assert "did you mean tirosa-1" in got.output


def test_an_empty_store_is_a_whole_document(tmp_path: Path) -> None:
    """Before anything was heard."""
    (tmp_path / "titik.toml").write_text(CITY)
    open_writer(tmp_path / "db").close()
    got = json.loads(run(tmp_path, "--json").stdout)

    assert ([], []) == (got["sites"], got["routers"])


def test_the_text_of_json_keeps_names_readable() -> None:
    """Titles are people's."""
    assert "Café" in status_json.text({"title": "Café"})
