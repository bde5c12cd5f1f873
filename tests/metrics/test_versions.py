"""Which versions the city's routers run: on the screen, for programs, and as metrics."""

from dataclasses import replace

from tests.collector.test_status_check import city, router
from tests.collector.test_status_screens import text
from titik_collector.metrics import exposition
from titik_collector.metrics.measured import Measured, MeasuredCity
from titik_collector.queries import status_json
from titik_collector.queries.server_warnings import Server
from titik_collector.queries.status import CityStatus
from titik_collector.screens import status_screen


def mixed(*versions: str | None) -> CityStatus:
    """A router of each of these, all with one firmware."""
    routers = [
        replace(router(f"r-{number}"), version=one, firmware=None if one is None else "24.10")
        for number, one in enumerate(versions)
    ]
    return city(("taman-tirosa", routers))


def metrics(of: CityStatus) -> list[str]:
    """The lines about versions."""
    names = {one.name: 0 for one in of.routers()}
    settled = {"stored": 0, "refused": 0}
    found = exposition.text(Measured("0", 0, city=MeasuredCity(of, {}, names, settled)))
    return [one for one in found.decode().splitlines() if one.startswith("titik_routers{")]


def test_programs_read_how_many_run_what() -> None:
    """A router that never reported runs nothing that is known."""
    found = mixed("0.1.0", "0.2.0", "0.2.0", None)
    plain = status_json.document(found, Server(None, (), None))
    assert [
        {"version": "0.2.0", "firmware": "24.10", "routers": 2},
        {"version": "0.1.0", "firmware": "24.10", "routers": 1},
    ] == plain["versions"]
    assert [
        'titik_routers{firmware="24.10",version="0.2.0"} 2.0',
        'titik_routers{firmware="24.10",version="0.1.0"} 1.0',
    ] == metrics(found)


def test_the_screen_shows_versions_where_there_are_several() -> None:
    """One version alone takes no line of the screen."""
    shown = text(status_screen.render(mixed("0.1.0", "0.2.0", "0.2.0")))
    assert "agents: 2 run 0.2.0, 1 run 0.1.0" in shown
    assert not any(one.startswith("agents:") for one in text(status_screen.render(mixed("0.1.0"))))


def test_routers_that_make_versions_up_make_no_series_without_end() -> None:
    """What is rarer than thirty others is one series."""
    found = metrics(mixed(*(f"0.{number}" for number in range(40))))
    assert 31 == len(found)
    assert 'titik_routers{firmware="other",version="other"} 10.0' == found[-1]
