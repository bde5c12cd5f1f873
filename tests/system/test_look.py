"""`titik router check`: a real agent is asked through a real broker, and answers."""

import re
import signal
import time
from pathlib import Path

import pytest

from tests.broker.running import Client
from tests.system.city import COLLECTOR, City
from titik_wire import codec, topics
from titik_wire.fleet_messages import Question, RouterReply
from titik_wire.messages import Status

pytestmark = pytest.mark.system

ONLINE = "SELECT count(*) FROM presence WHERE state = 'online'"


def appear(city: City, router: Client, name: str, number: int) -> None:
    """It reports that it is online; so many are."""
    status = Status(name, "online", "1" * 16, 1, "b" * 32, "0.2.0")
    router.publish(topics.status(name), codec.encode(status), retain=True)
    city.until(lambda: city.number(ONLINE) == number, "it is online")


def test_a_router_is_looked_at_from_a_distance(tmp_path: Path) -> None:
    """Its lines, its log and no secret; the agent's connection stays, and who asked is audited."""
    with City(tmp_path) as city:
        city.collect()
        agent = city.agent()
        city.until(lambda: bool(city.books()), "it reports")
        status, output = city.titik("router", "check", "tirosa-1", "--config", str(city.file))
        again_status, again = city.titik("router", "check", "tirosa-1", "--config", str(city.file))
        _, audit = city.titik("web", "audit", "--config", str(city.file))
        lines = output.splitlines()

        assert 0 == status, output
        assert "ok    config: router tirosa-1, every 1 s" in lines
        assert any(line.startswith("ok    agent: ") for line in lines)
        assert any("broker connected" in line for line in lines)
        assert str(city.directory.password_file("tirosa-1")) not in output
        assert city.directory.password("tirosa-1") not in output
        note, _, answer = again.partition("\n\n")
        assert (0, output) == (again_status, answer)
        assert re.fullmatch(
            r"this answer is \d+ s old; the router looks once a minute, ask again in \d+ s", note
        )
        assert 2 == audit.count("router asked to check itself")
        assert 1 == agent.output().count("broker connected")


def test_a_router_that_is_away_cannot_be_looked_at(tmp_path: Path) -> None:
    """The command says so at once, and fails; of a router that is none it names the list."""
    with City(tmp_path) as city:
        city.collect()
        agent = city.agent()
        city.until(lambda: bool(city.books()), "it reports")
        agent.stop()
        city.until(
            lambda: city.number("SELECT count(*) FROM presence WHERE state = 'offline'") == 1,
            "it is offline",
        )
        began_s = time.monotonic()
        status, output = city.titik("router", "check", "tirosa-1", "--config", str(city.file))
        wrong_status, wrong = city.titik("router", "check", "nobody", "--config", str(city.file))

        assert (1, "The router is offline: it cannot be asked now.") == (status, output.strip())
        assert time.monotonic() - began_s < 55.0
        assert (1, True) == (wrong_status, "titik router list" in wrong)


def test_a_router_that_was_never_heard_cannot_be_looked_at(tmp_path: Path) -> None:
    """The operator does not wait a minute for it."""
    with City(tmp_path) as city:
        city.collect()
        status, output = city.titik("router", "check", "tirosa-1", "--config", str(city.file))
    assert (1, "The router is offline: it cannot be asked now.") == (status, output.strip())


@pytest.mark.parametrize("number", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_a_city_is_looked_at_router_by_router(tmp_path: Path, number: int) -> None:
    """More than may be asked at once; a line of each comes, and the exit status counts all."""
    names = [f"tirosa-{one}" for one in range(number)]
    with City(tmp_path, *names, "away") as city:
        city.collect()
        arguments = (
            "--leave",
            "away",
            "--first-wait",
            str(number / 100),
            "--config",
            str(city.file),
        )
        city._spawn(city.folder / "simulate.log", *COLLECTOR, "simulate", *arguments)
        city.until(lambda: city.number(ONLINE) == number, "all are online", 300.0)

        def check(*which: str) -> tuple[int, list[str]]:
            log = city.folder / f"{which[-1]}.log"
            asking = city._spawn(
                log, *COLLECTOR, "router", "check", *which, "--config", str(city.file)
            )
            city.until(lambda: asking.is_over, "the command ends", 300.0)
            return asking.popen.returncode, asking.output().splitlines()

        began_s = time.monotonic()
        status, lines = check("--all")
        print(f"{number} routers took {time.monotonic() - began_s:.0f} s")
        city.write([(one, "taman-tirosa", "") for one in names])
        good_status, good = check("--site", "taman-tirosa")

    assert (1, "away: offline") == (status, lines[0])
    assert {f"{name}: works" for name in names} == set(lines[1 : number + 1])
    assert ["", f"works: {number} of {number + 1}", f"offline: 1 of {number + 1} (away)"] == (
        lines[number + 1 :]
    )
    # A last line may say how many answers are of before this command.
    assert (0, True) == (good_status, f"works: {number} of {number}" in good[number:])


def test_a_look_that_is_interrupted_shows_what_came(tmp_path: Path) -> None:
    """Ctrl-C; a router whose answer is awaited still is named, and so is who was not asked."""
    with City(tmp_path, "tirosa-1", "tirosa-2") as city:
        city.collect()
        city.node("tirosa-1")
        with city.impostor("tirosa-2") as silent:
            appear(city, silent, "tirosa-2", 2)
            log = city.folder / "check.log"
            asking = city._spawn(
                log, *COLLECTOR, "router", "check", "--all", "--config", str(city.file)
            )
            city.until(lambda: "tirosa-1: works" in asking.output(), "one answers")
            asking.popen.send_signal(signal.SIGINT)
            city.until(lambda: asking.is_over, "the command ends")

    assert [
        *("tirosa-1: works", "", "works: 1 of 2", "no answer yet: 1 of 2 (tirosa-2)"),
        *("", "Aborted!"),
    ] == asking.output().splitlines()
    assert 1 == asking.popen.returncode


def test_what_a_hostile_router_answers_is_bounded_and_stays_text(tmp_path: Path) -> None:
    """Only to a question of ours; what breaks the contract is no answer."""
    with City(tmp_path) as city:
        city.collect()
        with city.impostor("tirosa-1") as router:
            appear(city, router, "tirosa-1", 1)
            router.subscribe(topics.request("tirosa-1"))
            asking = city._spawn(
                city.folder / "check.log",
                *("-c", "from titik_collector.cli import main; main()", "router", "check"),
                *("tirosa-1", "--config", str(city.file)),
            )
            asked: list[Question] = []

            def came(topic: str, payload: bytes) -> bool:
                message = codec.decode(topic, payload)
                assert isinstance(message, Question)
                asked.append(message)
                return True

            city.until_heard(router, came, "the question comes")
            topic = topics.answer("tirosa-1")
            unasked = RouterReply("tirosa-1", "0" * 16, ("ok    unasked",))
            good = RouterReply("tirosa-1", asked[0].id, ("FAIL  <b>\u202ex</b>",) * 40)
            for payload in (
                codec.encode(unasked),
                codec.encode(good).replace(b"FAIL  ", b"FAIL \\u001b[2J" * 9, 1),
                codec.encode(good).replace(b"FAIL  ", b"FAIL " * 200, 1),
                codec.encode(good),
            ):
                router.publish(topic, payload)
            city.until(lambda: asking.is_over, "the command ends")
            output = asking.output()

        assert 40 == output.count("FAIL  <b>\ufffdx</b>\n")
        assert [] == [one for one in ("\x1b", "unasked", "FAIL FAIL", "\u202e") if one in output]
