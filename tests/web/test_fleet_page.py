"""`/fleet`: an operator sees which versions routers run, and how far the newest upgrade is."""

from starlette.testclient import TestClient

from tests.web import cities
from tests.web.conftest import client
from tests.web.people import add_user, log_in
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import RolloutOrder
from titik_collector.desk import rollouts
from titik_collector.queries import rollout_status, server_warnings
from titik_collector.store import desk_opening, rollout_rows, settings
from titik_collector.store.rollout_rows import Fate, RolloutRow, RolloutState, WaveRouter
from titik_collector.web.city_view import CityView, watching
from titik_wire.instant import HOUR_MS

PAGE = "/fleet"
NO_ROOM = "no room on flash: 512 kB are <b>needed</b>"
FAILED: tuple[tuple[str, Fate, str | None], ...] = (
    ("lerik-1", "refused", NO_ROOM),
    ("tirosa-1", "rolled-back", "no ack in 900 s"),
)


def ordered(city: cities.City, state: RolloutState) -> None:
    """The collector knows an upgrade of all routers; two failed, and one was asked."""
    ids: dict[str, int] = dict(city.db.execute("SELECT name, id FROM router").fetchall())
    now_ms = cities.now_ms()
    failed = {name: (fate, reason) for name, fate, reason in FAILED}
    rows = []
    for number, name in enumerate(sorted(ids)):
        one = WaveRouter(ids[name], number // 4)
        if name in failed:
            fate, reason = failed[name]
            one = one._replace(asked_ms=now_ms - HOUR_MS, fate=fate, fate_ms=now_ms, reason=reason)
        elif name == "fontein-1":
            one = one._replace(asked_ms=now_ms)
        rows.append(one)
    row = RolloutRow(1, now_ms - HOUR_MS, "0.2.0", state, now_ms, failed=len(FAILED))
    with city.db.transaction():
        rollout_rows.begin(city.db, row, rows)


def words(page: TestClient, language: str = "en") -> str:
    """What the page has, in one line."""
    return " ".join(page.get(f"{PAGE}?lang={language}").text.split())


def test_an_operator_reads_who_failed_and_why(city: cities.City, operator: TestClient) -> None:
    """By name, with the router's own reason as text; who is merely asked comes later."""
    before = words(operator)
    ordered(city, "halted")
    text = words(operator)

    assert "Nobody has ordered an upgrade yet." in before
    assert "Upgrade to 0.2.0" in text
    assert "It halted by itself: too many routers failed." in text
    assert "2 routers failed. Their reasons are below. Then type" in text
    assert "<code>stop</code>: It ends; routers that run the version keep it." in text
    assert "no room on flash: 512 kB are &lt;b&gt;needed&lt;/b&gt;" in text
    assert "<dt>Refused it</dt><dd>1 router</dd>" in text
    places = [text.index(f'"/router/{one}"') for one in ("lerik-1", "tirosa-1", "fontein-1")]
    assert sorted(places) == places
    found = rollout_status.look(city.db, "kupang")
    assert found is not None
    assert ["lerik-1", "tirosa-1", "fontein-1"] == [one.name for one in found.unfinished]
    assert "Berhenti sendiri: terlalu banyak router gagal." in words(operator, "id")


def test_a_halt_is_named_once(city: cities.City) -> None:
    """The page has it below, so the warning that other pages show is left out there."""
    add_user(city.config, "siti", "operator")
    ordered(city, "halted")
    with watching(city.config) as view:
        warnings = [one.text for one in view.snapshot.status.warnings]
        page = client(view)
        log_in(page, "siti")
        text = words(page)

    assert (
        "the upgrade to 0.2.0 halted by itself, because 2 routers failed: titik fleet" in warnings
    )
    assert "because 2 routers failed" not in text
    assert "It halted by itself" in text
    one = rollout_rows.read(city.db)
    assert one is not None
    assert "because 1 router failed: " in server_warnings.of_halt(one._replace(failed=1))


def test_what_follows_is_shown(city: cities.City, operator: TestClient) -> None:
    """The next wave, and what was typed a moment ago."""
    with desk_opening.opened(city.config.page_store) as desk:
        actor = Actor("ani", None, cities.now_ms())
        wanted = RolloutOrder(0, "0.2.0", "city", "", 5, 20, "", 0)
        order = rollouts.order(desk, wanted, actor, None)
    hears = "A collector that hears its broker"
    assert f"The upgrade to 0.2.0 was ordered. {hears} begins it in" in words(operator)
    assert "Nobody has ordered" not in words(operator)
    ordered(city, "runs")
    with city.db.transaction():
        row = rollout_rows.read(city.db)
        assert row is not None
        rows = [
            WaveRouter(one.router_id, one.wave) if one.fate == "rolled-back" else one
            for one in rollout_rows.routers(city.db)
        ]
        rollout_rows.begin(city.db, row._replace(at_ms=order.at_ms), rows)
    text = words(operator)
    assert "was ordered" not in text
    assert "The next wave begins five minutes after the last router of this one." in text
    with desk_opening.opened(city.config.page_store) as desk:
        rollouts.stop(desk, actor)
    assert f"titik fleet stop was typed. {hears} takes it in" in words(operator)
    assert "titik fleet stop sudah diketik." in words(operator, "id")


def test_versions_are_those_of_the_status(view: CityView, operator: TestClient) -> None:
    """How many routers run which agent on which firmware."""
    expected = view.snapshot.status.versions()
    text = words(operator)

    assert 1 == len(expected)
    assert f'<th scope="row">{expected[0].version}</th>' in text
    assert f'data-label="Routers">{expected[0].routers}</td>' in text


def test_rights_of_an_earlier_version_are_a_warning(
    city: cities.City, operator: TestClient
) -> None:
    """With the command that mends it."""
    before = words(operator)
    with city.db.transaction():
        settings.keep(city.db, "wishes_offered", 0)
    with watching(city.config) as view:
        page = client(view)
        log_in(page, "siti")
        text = words(page)

    assert "titik broker init" not in before
    assert "rights are of an earlier version" in text
    assert "titik broker init FOLDER --config " in text


def test_who_is_no_operator_does_not_see_it(
    city: cities.City, view: CityView, operator: TestClient
) -> None:
    """Not somebody who only looks, and nobody without a login; no link leads there either."""
    ordered(city, "halted")
    add_user(city.config, "budi", "viewer")
    viewer, anybody = client(view), client(view)
    log_in(viewer, "budi")
    for page, status in ((viewer, 403), (anybody, 401)):
        answer = page.get(PAGE, follow_redirects=False)
        assert status == answer.status_code
        assert "no room" not in answer.text
        assert 'href="/fleet"' not in page.get("/").text
    assert 'href="/fleet"' in operator.get("/").text
