"""`titik notify` and a real Alertmanager: an alert is there until Titik ends it."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.notify.alertmanagers import EXAMPLE, Alertmanager, alertmanager
from tests.notify.cities import City, city, now_ms
from tests.notify.messages import notification
from tests.notify.programs import Program, serving
from tests.ports import free_port
from tests.until import until
from titik_collector.alerts.alert import AlertSubject, Notification, What
from titik_collector.commands.notify import notify_command
from titik_collector.notify.alertmanager import ENDS_MS
from titik_collector.store import incident_rows, opening

pytestmark = pytest.mark.system
WEB = '[web]\nurl = "https://titik.example"\nlanguage = "en"\n'
NONE: list[str] = []
GROUP = AlertSubject("group", "provider:Telkom")


def receiver(url: str, name: str = "manager") -> str:
    """Its table."""
    return f'[[receiver]]\nname = "{name}"\ntype = "alertmanager"\nurl = "{url}"\n'


def due(number: int, what: What = "firing", incident: int = 1) -> Notification:
    """A message that is due now, of what began ten minutes ago."""
    at_ms = now_ms()
    made = notification(number, what, at_ms, "manager", incident)
    to_ms = at_ms if what == "resolved" else None
    return replace(made, message=replace(made.message, from_ms=at_ms - 600_000, to_ms=to_ms))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Alertmanager]:
    """One that is there."""
    folder = tmp_path / "manager"
    folder.mkdir()
    with alertmanager(folder) as started:
        yield started


def over(one: City, number: int) -> None:
    """The incident of a message is resolved, in the store too."""
    with opening.writing(one.settings.store) as db, db.transaction():
        (found,) = [each for each in incident_rows.since(db, 0) if each.number == number]
        incident_rows.write(db, [replace(found, resolved_ms=now_ms())])


def test_an_alert_is_there_with_its_labels_until_it_is_resolved(
    tmp_path: Path, manager: Alertmanager
) -> None:
    """As the rules of Prometheus would label it, with the incident and the link to its page."""
    with city(tmp_path, WEB + receiver(manager.url)) as one:
        one.put(due(1))
        one.start()
        assert ["taman-tirosa"] == until(manager.subjects, ["taman-tirosa"]), one.log()
        (alert,) = manager.alerts()
        expected = {
            "alertname": "TitikAlert",
            "city": "kupang",
            "incident": "1",
            "kind": "site-offline",
            "scope": "site",
            "severity": "critical",
            "subject": "taman-tirosa",
        }
        assert expected == alert["labels"]
        assert ("https://titik.example/alerts/1", "active") == (
            alert["generatorURL"],
            alert["status"]["state"],
        )
        assert "Taman Tirosa" in alert["annotations"]["summary"]
        goes_on_s = datetime.fromisoformat(alert["endsAt"]).timestamp() - now_ms() / 1000
        assert ENDS_MS / 1000 - 120 < goes_on_s <= ENDS_MS / 1000
        one.put(due(2, "resolved"))
        over(one, 1)
        assert NONE == until(manager.subjects, NONE)
        assert [("manager", n, "delivered") for n in (1, 2)] == until(
            one.outcomes, [("manager", n, "delivered") for n in (1, 2)]
        )


def test_while_it_is_away_an_alert_is_kept(tmp_path: Path) -> None:
    """It comes by the next try."""
    folder = tmp_path / "manager"
    folder.mkdir()
    with alertmanager(folder) as manager, city(tmp_path, WEB + receiver(manager.url)) as one:
        manager.stop()
        one.put(due(1))
        one.start()
        assert [("manager", 1, "failed")] == until(one.outcomes, [("manager", 1, "failed")])
        manager.start()
        delivered = ("manager", 1, "delivered")
        assert delivered == until(lambda: one.outcomes()[-1], delivered)
        assert ["taman-tirosa"] == manager.subjects()


def test_one_that_restarts_gets_again_what_goes_on(tmp_path: Path, manager: Alertmanager) -> None:
    """Its alerts are in its memory alone; what is over does not come back."""
    with city(tmp_path, WEB + receiver(manager.url)) as one:
        one.put(due(1), due(2, incident=2), due(3, "resolved", incident=2))
        over(one, 2)
        one.start()
        assert 3 == until(lambda: len(one.outcomes()), 3), one.log()
        one.kill()  # the next one posts at once what this one would within a minute
        manager.stop()
        manager.start()
        assert [] == manager.subjects()
        one.start()
        assert ["1"] == until(
            lambda: [each["labels"]["incident"] for each in manager.alerts()], ["1"]
        )


def test_an_incident_that_becomes_wider_is_one_alert(tmp_path: Path, manager: Alertmanager) -> None:
    """The place that it began with ends there, and the group goes on."""
    with city(tmp_path, WEB + receiver(manager.url)) as one:
        one.put(due(1))
        one.start()
        assert ["taman-tirosa"] == until(manager.subjects, ["taman-tirosa"])
        wider = due(2, "update")
        one.put(replace(wider, message=replace(wider.message, kind="group-outage", subject=GROUP)))
        assert 2 == until(lambda: len(one.outcomes()), 2)
        one.kill()
        one.start()
        assert [GROUP.name] == until(manager.subjects, [GROUP.name])


def test_what_it_sends_on_begins_and_ends_with_titik(tmp_path: Path) -> None:
    """A program behind it hears each once, in the form of Alertmanager's own webhook."""
    folder = tmp_path / "manager"
    folder.mkdir()
    with (
        serving(Program()) as desk,
        alertmanager(folder, desk.url) as manager,
        city(tmp_path, WEB + receiver(manager.url)) as one,
    ):
        one.put(due(1))
        one.start()
        assert 1 == until(lambda: len(desk.bodies), 1)
        one.put(due(2, "resolved"))
        over(one, 1)
        assert 2 == until(lambda: len(desk.bodies), 2)
    heard = [(body["status"], body["commonLabels"]["subject"]) for body in desk.bodies]
    assert [("firing", "taman-tirosa"), ("resolved", "taman-tirosa")] == heard


def test_the_test_message_is_an_alert_that_ends_by_itself(
    tmp_path: Path, manager: Alertmanager
) -> None:
    """`titik notify test` walks the steps; one that is away is named with the key."""
    with city(tmp_path, WEB + receiver(manager.url)) as one:
        done = CliRunner().invoke(
            notify_command, ["test", "manager", "--config", str(one.settings.file)]
        )
        assert (0, "ok    send") == (done.exit_code, done.output.splitlines()[-2])
        (alert,) = manager.alerts()
        assert ("TitikTest", "kupang") == (alert["labels"]["alertname"], alert["labels"]["city"])
        one.settings.file.write_text(
            one.settings.file.read_text().replace(manager.url, f"http://127.0.0.1:{free_port()}")
        )
        done = CliRunner().invoke(
            notify_command, ["test", "manager", "--config", str(one.settings.file)]
        )
        assert (1, True) == (done.exit_code, "url or url_file" in done.output)


def test_amtool_finds_nothing_wrong_with_the_example() -> None:
    """The file that a city begins with."""
    done = subprocess.run(["amtool", "check-config", EXAMPLE], capture_output=True, text=True)
    assert (0, True) == (done.returncode, "SUCCESS" in done.stdout + done.stderr)
