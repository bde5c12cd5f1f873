"""The public page: what is in its files, and what is not."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from tests.collector.build import sample
from tests.project.sources import PACKAGES
from tests.web import cities
from tests.web.cities import City
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import AlertSubject
from titik_collector.cli import titik
from titik_collector.config import model
from titik_collector.config.page_tables import Public
from titik_collector.config.schema import ConfigError
from titik_collector.desk import planned_work, posting
from titik_collector.desk.planned_work import Entry
from titik_collector.figures.windows import Span
from titik_collector.languages.language import language
from titik_collector.public import public_city
from titik_collector.public.public_past import PublicPasts
from titik_collector.public.static_export import PublicExport
from titik_collector.public.suppression import Raw, publish
from titik_collector.received import Arrived
from titik_collector.registry.sync import sync
from titik_collector.store import desk_opening, outages, registry_rows, simulated
from titik_collector.web import app
from titik_collector.web.city_view import watching
from titik_wire import codec
from titik_wire.instant import HOUR_MS, MINUTE_MS

ROOM = PACKAGES["titik_collector"] / "public"
PRIVATE = "https://private.example:8088"
SOLOR = 'hours = "00:00-24:00"'


pytestmark = pytest.mark.thorough


@contextlib.contextmanager
def filled(folder: Path) -> Iterator[City]:
    """Kupang, always open, after three quarters of an hour with 5 to 14 visitors a router."""
    text = re.sub('hours = "(?!16).+"', 'hours = "24/7"', cities.KUPANG.read_text())
    text = text.replace('hours = "16:00-02:00"', SOLOR) + f'\n[web]\nurl = "{PRIVATE}"\n'
    with cities.city(folder, text) as city:
        city.live(minutes=45, clients=5)
        city.roll()
        yield city


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[City]:
    """A city that the test changes."""
    with filled(tmp_path) as city:
        yield city


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """One that all other tests read."""
    with filled(tmp_path_factory.mktemp("city")) as city:
        yield city


@pytest.fixture(scope="module")
def folder(city: City) -> Path:
    """Its public page, beside its configuration."""
    folder = city.config.file.with_name("public")
    PublicExport(city.config, folder).write()
    return folder


def texts(folder: Path) -> dict[str, str]:
    """Every file by its path."""
    return {
        str(file.relative_to(folder)): file.read_text()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def exported(city: City, folder: Path) -> Result:
    """The command itself, into that folder."""
    words = ["public", "export", str(folder), "--config", str(city.config.file)]
    return CliRunner().invoke(titik, words)


def switch_off(city: City, router: str, at_ms: int) -> None:
    """The Wi-Fi of a router that goes on reporting."""
    seq = city.seqs[router] = city.seqs[router] + 1
    made = sample(
        seq, router=router, run=cities.token(router), boot=cities.boot(router), clients=None, bss=()
    )
    off = replace(made, off_air=True, taken_at=at_ms, spool=())
    city.store.save([Arrived(off, codec.encode(off), True, at_ms + 50)])


def test_each_language_has_each_page(folder: Path) -> None:
    """Now, history, about, each place, and a badge for each; the first page is in the city's."""
    found = texts(folder)
    for code, word in (("id", "Riwayat"), ("en", "History")):
        assert word in found[f"{code}/history.html"]
        assert {f"{code}/index.html", f"{code}/about.html"} <= found.keys()
        assert 10 == len([one for one in found if one.startswith(f"{code}/place/")])
        assert 11 == len([one for one in found if one.startswith(f"{code}/badge/")])
    assert '<html lang="id"' in found["index.html"]


def test_every_link_leads_to_a_file_of_the_folder(folder: Path) -> None:
    """So the folder works below any address, and without a server."""
    for file in folder.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="([^"#?]+)', file.read_text()):
            assert link.startswith("data:") or (file.parent / link).is_file(), (file, link)


def test_nothing_private_is_in_any_file(city: City, folder: Path) -> None:
    """No contact, no circuit, no router, no address of the operators' page; no script but one."""
    whole = "\n".join(texts(folder).values())
    words = [PRIVATE, "private.example", "8088", "<script>", "on" + "click"]
    words += [one.name for one in city.config.router]
    words += [str(value) for one in city.config.site for value in (one.contact, one.circuit)]
    assert [] == [word for word in words if word in whole]
    assert {"public.js"} == set(re.findall(r'<script defer src="[./]*assets/([^?]+)', whole))
    assert whole.count("<script") == whole.count("<script defer src=")


def test_no_template_knows_a_figure_that_was_not_published() -> None:
    """They get a `PublicCity` and its past; what others call raw has no name there."""
    raw = (
        r"\b(raw|now\.|line\.|status|snapshot|sample|routers?|clients_m|active|visitors_m|contact)"
    )
    for file in (ROOM / "templates").iterdir():
        code = " ".join(re.findall(r"\{[{%](.+?)[%}]\}", file.read_text(), re.S))
        code = re.sub(r'_\(".*?"', "", code)
        assert [] == re.findall(raw, code), file.name
    export = (ROOM / "static_export.py").read_text()
    assert not re.search(r"queries import .*(status|history)|Raw\b", export)


def test_one_function_makes_every_figure() -> None:
    """Only it makes cells and totals."""
    makes = [
        (file.name, made)
        for file in ROOM.glob("*.py")
        for made in re.findall(r"\b(Cell|Total|Published)\((?!NamedTuple)", file.read_text())
        if file.name != "suppression.py"
    ]
    assert [] == makes


def test_a_visitor_who_arrives_changes_nothing_within_the_quarter(tmp_path: Path) -> None:
    """Nor do fifty: two cities that differ only since the quarter began publish the same."""
    began_ms = public_city.quarter(cities.now_ms()).start_ms
    published = []
    for clients in (7, 64):
        folder = tmp_path / str(clients)
        folder.mkdir()
        with cities.city(folder) as city:
            for at_ms in range(began_ms - 20 * MINUTE_MS, began_ms + 16 * MINUTE_MS, 30_000):
                city.hear("tirosa-1", 7 if at_ms < began_ms + 3 * MINUTE_MS else clients, at_ms)
            city.roll()
            found = public_city.gather(city.db, city.config, began_ms + 15 * MINUTE_MS)
            published.append(([one.figures for one in found.places], found.total))
    assert any(isinstance(one.clients, int) for one in published[0][0])
    assert published[0] == published[1]


def test_the_present_is_a_quarter_that_is_over() -> None:
    """And whose minutes are computed."""
    hour = 1_795_392_000_000
    at = [public_city.quarter(hour + minutes * MINUTE_MS) for minutes in (16, 17, 31, 32)]
    quarters = [(one.start_ms - hour) // MINUTE_MS for one in at]
    assert [-15, 0, 0, 15] == quarters
    assert {15 * MINUTE_MS} == {one.end_ms - one.start_ms for one in at}


def test_the_past_has_no_hour_that_goes_on(city: City) -> None:
    """Its mean would change with each visitor."""
    at_ms = cities.now_ms()
    for past in PublicPasts().read(city.db, city.config, at_ms).values():
        hours = [hour for day in past for hour in day.hours]
        assert all(hour.start_ms + HOUR_MS <= at_ms for hour in hours)
        assert all(hour.start_ms % HOUR_MS == 0 for hour in hours)
        assert past[-1].goes_on


def test_a_place_that_is_away_outside_its_hours_is_closed(changing: City) -> None:
    """It is no outage; one without hours is offline, with what people may know of the cause."""
    text = changing.config.file.read_text().replace(SOLOR, 'hours = "Mo off"')
    changing.config.file.write_text(text)
    config = model.load(changing.config.file)
    sync(changing.db, config, cities.now_ms())
    for router in ("solor-1", "tirosa-1"):
        changing.report(router, "offline")
    found = public_city.gather(changing.db, config, cities.now_ms() + 1000)
    states = {one.name: one.state for one in found.places}
    assert {None} == {one.figures.load for one in found.places if one.state != "online"}
    assert "closed" == states["pusat-kuliner-kampung-solor"]
    assert "offline" == states["taman-tirosa"]


def test_a_place_that_works_outside_its_hours_says_that_it_is_closed(changing: City) -> None:
    """In words and by its mark, on the first page, its map and the page of the place."""
    text = changing.config.file.read_text().replace(SOLOR, 'hours = "Mo off"')
    changing.config.file.write_text(text)
    config, at_ms = model.load(changing.config.file), cities.now_ms()
    sync(changing.db, config, at_ms)
    folder = changing.config.file.with_name("public")
    PublicExport(config, folder).write(at_ms)
    for code, words in (("en", "closed now"), ("id", "tutup sekarang")):
        page = (folder / code / "place/pusat-kuliner-kampung-solor.html").read_text()
        state = page.partition('class="state-line')[2].partition("</p>")[0]
        assert re.search(rf'#mark-closed"/></svg> {words}', state)
        assert language(code).say("quiet") not in page.partition("</dl>")[0].partition("<dl")[2]
        first = (folder / code / "index.html").read_text()
        card = first.partition('place/pusat-kuliner-kampung-solor.html">')[2].partition("</a>")[0]
        assert words in card
        assert re.search(f'state-closed" href="[^"]+-solor.html"[^>]+{words}, ', first)
        always = (folder / code / "place/taman-fontein.html").read_text()
        assert words not in always


def test_a_place_that_many_use_is_not_called_closed(city: City) -> None:
    """Whatever its hours are, people are there."""
    one = public_city.gather(city.db, city.config, cities.now_ms()).places[0]
    found = {
        load: replace(one, is_closed=True, figures=one.figures._replace(load=load)).closed_now
        for load in (None, "quiet", "busy", "full")
    }
    assert {None: True, "quiet": True, "busy": False, "full": False} == found


def test_a_place_whose_wi_fi_is_off_does_not_count_as_working(changing: City) -> None:
    """Its router reports, and nobody can connect."""
    at_ms = cities.now_ms()
    switch_off(changing, "tirosa-1", at_ms)
    found = public_city.gather(changing.db, changing.config, at_ms + 1000)
    assert "off the air" == {one.name: one.state for one in found.places}["taman-tirosa"]
    drawn = PublicExport(changing.config, changing.config.file.with_name("public"))
    drawn.write(at_ms + 1000)
    texts_of = texts(changing.config.file.with_name("public"))
    assert '9<span class="quiet">/10</span>' in texts_of["en/index.html"]
    assert 'state-off-air"' in texts_of["en/place/taman-tirosa.html"]


def test_when_it_was_checked_stands_beside_the_state(city: City, tmp_path: Path) -> None:
    """On the first page and on that of each place, without a script."""
    at_ms = cities.now_ms()
    PublicExport(city.config, tmp_path / "public").write(at_ms)
    lang, zone = language("id"), city.config.city.timezone
    expected = f"diperiksa {lang.short_day(at_ms, zone)} {lang.clock(at_ms, zone)}"
    found = texts(tmp_path / "public")
    assert expected in found["index.html"]
    state = found["id/place/taman-tirosa.html"].partition('class="state-line')[2]
    assert expected in state.partition("</p>")[0]


def test_the_first_of_about_is_privacy(city: City, tmp_path: Path) -> None:
    """In plain words, with how long what is kept, and who answers questions if that is known."""
    asked = replace(city.config, public=Public(contact="Diskominfo <0380-555>"))
    for config, expected in ((city.config, False), (asked, True)):
        folder = tmp_path / str(expected)
        PublicExport(config, folder).write()
        about = (folder / "id" / "about.html").read_text()
        assert "Privasi" == re.findall("<h2>(.+?)</h2>", about)[0]
        assert "dihapus setelah 14 hari" in about
        assert expected == ("Pertanyaan: Diskominfo &lt;0380-555&gt;" in about)


def test_a_place_says_when_it_was_away(changing: City) -> None:
    """How often in seven days, for how long and why."""
    router, at_ms = registry_rows.routers(changing.db)["tirosa-1"], cities.now_ms()
    start_ms = at_ms - 3 * HOUR_MS
    outages.add(changing.db, router.id, start_ms, start_ms + HOUR_MS, "power cut")
    folder = changing.config.file.with_name("public")
    PublicExport(changing.config, folder).write(at_ms)
    found = texts(folder)
    for code, words in (("en", "1 outage, 1 hour"), ("id", "1 gangguan, 1 jam")):
        assert words in found[f"{code}/place/taman-tirosa.html"]
    assert "away for 1 hour · power cut" in found["en/place/taman-tirosa.html"]
    assert "are named" not in found["en/place/taman-tirosa.html"]
    assert "no outage known" in found["en/place/taman-fontein.html"]


def test_a_place_with_many_outages_says_how_many_it_does_not_name(changing: City) -> None:
    """The longest is among those that it names."""
    router, at_ms = registry_rows.routers(changing.db)["tirosa-1"], cities.now_ms()
    for number in range(1, 8):
        start_ms = at_ms - number * HOUR_MS
        end_ms = start_ms + (40 if number == 7 else 5) * MINUTE_MS
        outages.add(changing.db, router.id, start_ms, end_ms, "power cut")
    folder = changing.config.file.with_name("public")
    PublicExport(changing.config, folder).write(at_ms)
    for code, words, longest in (
        ("en", "The newest and the longest are named; 2 more are not.", "away for 40 minutes"),
        ("id", "Yang terbaru dan yang terlama disebut; 2 lainnya tidak.", "mati 40 menit"),
    ):
        page = (folder / code / "place/taman-tirosa.html").read_text()
        assert words in page
        assert longest in page


def test_a_place_says_whether_it_is_full(folder: Path) -> None:
    """Where the configuration has its capacity: 5 to 14 visitors are few everywhere in Kupang."""
    found = texts(folder)
    assert 10 == found["en/index.html"].count("<b>quiet</b>")
    assert re.search(r"<b>sepi</b>, kapasitas \d+", found["id/place/taman-tirosa.html"])


@pytest.mark.parametrize(("code", "wrong"), [("en", "Visitors"), ("id", "Pengunjung")])
def test_devices_are_not_called_visitors(folder: Path, code: str, wrong: str) -> None:
    """A visitor is a device of a day; a count at one time is of devices."""
    found = [name for name, text in texts(folder / code).items() if f">{wrong}" in text]
    assert [] == found


def test_about_names_the_limits_of_busy_and_full(folder: Path) -> None:
    """A place that has just as many has the word; one with fewer has not."""
    for code, pattern in (
        ("en", r"(busy|full) from (\d+)% on"),
        ("id", r"(ramai|penuh) mulai (\d+)%"),
    ):
        found = re.findall(pattern, (folder / code / "about.html").read_text())
        assert 2 == len(found)
        for word, percent in found:
            words = [
                language(code).say(publish([Raw(clients, capacity=1000)]).cells[0].load or "")
                for clients in (10 * int(percent), 10 * int(percent) - 5)
            ]
            assert [True, False] == [one == word for one in words]


def test_each_page_leads_to_itself_in_the_other_language(folder: Path) -> None:
    """At its top, before anything has to be read."""
    found = texts(folder)
    for path, other in (
        ("index.html", "en/index.html"),
        ("id/about.html", "../en/about.html"),
        ("en/place/taman-tirosa.html", "../../id/place/taman-tirosa.html"),
    ):
        assert f'href="{other}" hreflang=' in found[path].partition("</header>")[0]


def test_a_demo_says_on_each_page_that_its_people_are_invented(tmp_path: Path) -> None:
    """A city whose past is simulated; a real one says nothing of it."""
    note = "This is a demo: the people and all figures are invented."
    with cities.city(tmp_path) as city:
        for is_demo in (False, True):
            if is_demo:
                simulated.keep(city.db, Span(0, cities.now_ms()))
            PublicExport(city.config, tmp_path / "public").write()
            pages = [text for path, text in texts(tmp_path / "public").items() if "en/" in path]
            whole = [one for one in pages if "<html" in one]
            assert 13 == len(whole)
            assert {is_demo} == {note in one for one in whole}


def test_what_did_not_change_is_not_written(city: City, tmp_path: Path) -> None:
    """A bucket gets what is new, and a place that is gone takes its files with it."""
    export, at_ms = PublicExport(city.config, tmp_path / "public"), cities.now_ms()
    assert export.write(at_ms) > 40
    assert 0 == export.write(at_ms)
    gone = tmp_path / "public" / "id" / "place" / "gone.html"
    gone.write_text("")
    export.write(at_ms)
    assert not gone.exists()


def test_a_folder_with_another_page_is_left_alone(city: City, tmp_path: Path) -> None:
    """The remedy loses no day of the open data."""
    (tmp_path / "index.html").write_text("<h1>Somebody's</h1>")
    remedy = "move it away, or name an empty folder and copy data/day there"
    with pytest.raises(ConfigError, match=f"index.html is not ours; {remedy}"):
        PublicExport(city.config, tmp_path)


def test_a_folder_with_what_no_export_writes_is_left_as_it_is(city: City, tmp_path: Path) -> None:
    """A broker's folder, a city's, somebody's site, a link: whatever it is, anybody may read it."""
    for name in (
        "ca/ca.key",
        "titik.db",
        ".env",
        "id/notes.txt",
        "en/place/.env",
        "data/day/x.csv",
    ):
        folder = tmp_path / name.replace("/", "-")
        PublicExport(city.config, folder).write()
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("secret")
        (folder / "id/place/taman-tirosa.html").unlink()
        before = texts(folder)
        done = exported(city, folder)
        assert (1, True) == (done.exit_code, " is not ours; move it away" in done.stderr)
        assert before == texts(folder)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/index.html").symlink_to(tmp_path / "titik.db/titik.db")
    assert f"{tmp_path}/links/index.html is not ours" in exported(city, tmp_path / "links").stderr


def test_what_a_killed_export_left_and_web_servers_read_may_stay(
    city: City, tmp_path: Path
) -> None:
    """The next one goes on in that folder, and git publishes it."""
    PublicExport(city.config, tmp_path).write()
    stay = ("id/.index.html.new", "robots.txt", ".nojekyll", ".git/config", ".well-known/x/y")
    for name in stay:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert 0 == exported(city, tmp_path).exit_code
    assert (tmp_path / ".git/config").exists()


def test_a_folder_that_is_not_apart_from_the_city_is_refused(city: City, tmp_path: Path) -> None:
    """Nothing is made in it: the broker's, one in it or around it, that of the configuration."""
    home = tmp_path / "home"
    (home / "broker/ca").mkdir(parents=True)
    (home / "link").symlink_to(home / "broker")
    config = replace(city.config, broker=replace(city.config.broker, directory=home / "broker"))
    for folder in (home, home / "broker", home / "broker/ca", home / "link/new", home / "link"):
        with pytest.raises(ConfigError, match="anybody may read it; name a folder of its own"):
            PublicExport(config, folder)
    assert not list((home / "broker/ca").iterdir())
    with pytest.raises(ConfigError, match=r"has \S+ in it"):
        PublicExport(config, city.config.file.parent)


def test_the_command_writes_once_or_says_what_is_missing(city: City, tmp_path: Path) -> None:
    """There is no public page before somebody names its folder."""
    file = str(city.config.file)
    off = CliRunner().invoke(titik, ["public", "export", "--config", file])
    assert (1, True) == (off.exit_code, "there is no public page; give it, or name a" in off.stderr)
    written = CliRunner().invoke(titik, ["public", "export", str(tmp_path / "x"), "--config", file])
    assert re.fullmatch(r"\d+ files are new or changed in \S+/x\n", written.stdout)
    wrong = CliRunner().invoke(titik, ["public", "export", "--every", "1s", "--config", file])
    assert "'1s': give 10s to 3600s, such as 60s or 5m" in wrong.stderr


def test_the_page_serves_the_folder_where_it_is_named(city: City, folder: Path) -> None:
    """It needs no login, and all else does. Others may show its badges and frame it."""
    named = replace(city.config, public=Public(directory=folder))
    for config, expected in ((city.config, 404), (named, 200)):
        with watching(config) as view:
            client = TestClient(app.build(view), PRIVATE, raise_server_exceptions=False)
            assert expected == client.get("/public/").status_code
            assert 401 == client.get("/").status_code
    badge = client.get("/public/id/badge/taman-tirosa.svg")
    assert "frame-ancestors *" in badge.headers["content-security-policy"]
    assert ("cross-origin", "public, max-age=60") == (
        badge.headers["cross-origin-resource-policy"],
        badge.headers["cache-control"],
    )
    onwards = client.get("/public/id", follow_redirects=False)
    assert "/public/id/" == onwards.headers["location"]
    assert "public" not in onwards.headers["cache-control"]
    for path in ("/public/../titik.toml", "/public/%2e%2e/titik.toml", "/public/..%2ftitik.toml"):
        assert client.get(path).status_code in (401, 404)


def test_only_what_an_export_writes_is_served(city: City, tmp_path: Path) -> None:
    """Wherever the folder is: no other file, none that begins with a point, none behind a link."""
    PublicExport(city.config, tmp_path).write()
    others = [
        *("ca/ca.key", "secrets/collector.password", "titik.db", "titik.toml", ".env"),
        *("id/.index.html.new", "id/place/ca.key", "404.html", "ca/index.html", "robots.txt"),
        *(".git/config", ".well-known/security.txt", "README.md"),
    ]
    for name in others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nobody's")
    (tmp_path / "en/about.html").unlink()
    (tmp_path / "en/about.html").symlink_to(tmp_path / "ca/ca.key")
    (tmp_path / "en/place/x.html").symlink_to(tmp_path / "id/index.html")
    (tmp_path / "id/badge").rename(tmp_path / "badges")
    (tmp_path / "id/badge").symlink_to(tmp_path / "badges")
    links = ("en/about.html", "en/place/x.html", "id/badge/taman-tirosa.svg")
    with watching(replace(city.config, public=Public(directory=tmp_path))) as view:
        client = TestClient(app.build(view), PRIVATE, raise_server_exceptions=False)
        for name in (*others, *links, "ca/", "ca", "secrets/", "%00", "x" * 5000):
            answer = client.get(f"/public/{name}")
            assert (name, 404) == (name, answer.status_code)
            assert "nobody's" not in answer.text
        assert 200 == client.get("/public/id/place/taman-tirosa.html").status_code


def test_every_file_of_an_export_is_served_as_it_is(city: City, tmp_path: Path) -> None:
    """With open data too; before the first export there is nothing."""
    public = Public(directory=tmp_path / "public", licence="CC-BY-4.0")
    config = replace(city.config, public=public)
    with watching(config) as view:
        client = TestClient(app.build(view), PRIVATE, raise_server_exceptions=False)
        assert 404 == client.get("/public/").status_code
        PublicExport(config, tmp_path / "public").write()
        found = texts(tmp_path / "public")
        assert {"data/places.geojson", "data/index.json"} < found.keys()
        assert found == {path: client.get(f"/public/{path}").text for path in found}


def test_maintenance_is_for_everybody_where_its_operator_lets_it(changing: City) -> None:
    """Until when, and why; not that of a router, nor what was not made public."""
    made_ms = cities.now_ms()
    entries = {
        "taman-tirosa": Entry(AlertSubject("site", "taman-tirosa"), "new <mast>", is_public=True),
        "taman-fontein": Entry(AlertSubject("site", "taman-fontein"), "a thief was here"),
        "rsud-sk-lerik": Entry(AlertSubject("router", "lerik-1"), "loose plug", is_public=True),
    }
    with desk_opening.opened(changing.config.page_store) as db:
        for entry in entries.values():
            actor = Actor("ina@kupang", None, made_ms)
            planned_work.plan(db, entry, made_ms, made_ms + HOUR_MS, actor)
        posting.post(db, changing.config.page_store)
    folder = changing.config.file.with_name("worked")
    PublicExport(changing.config, folder).write()
    pages = {name: (folder / f"en/place/{name}.html").read_text() for name in entries}
    assert ["taman-tirosa"] == [name for name, text in pages.items() if "Maintenance until" in text]
    assert "new &lt;mast&gt;" in pages["taman-tirosa"]
    assert not [one for one in texts(folder).values() if "thief" in one or "ina@" in one]
