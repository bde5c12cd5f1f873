"""A large city: what grows with the number of routers, and what must not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.broker.running import Client, RunningBroker, made
from titik_collector.access.plugin_control import Control
from titik_collector.access.plugin_file import Access, Command
from titik_collector.broker_setup.broker_folder import BrokerFolder
from titik_collector.limits import MAX_COMMANDS
from titik_wire.topics import CLIENT_ID

MANY = 300


@pytest.mark.thorough
def test_one_router_more_is_two_commands(tmp_path: Path) -> None:
    """However many there are: the broker writes its whole file at each."""
    directory = made(tmp_path / "broker", *(f"many-{n}" for n in range(MANY)))
    known = Access(directory.access_file.read_bytes())
    assert directory._put(known, "more-1")
    assert ["createRole", "createClient"] == [one["command"] for one in known.commands]
    known.commands.clear()
    assert not directory._put(known, "more-1")
    assert [] == known.commands
    assert directory._drop(known, "more-1")
    assert ["deleteClient", "deleteRole"] == [one["command"] for one in known.commands]


@pytest.mark.thorough
def test_a_router_takes_little_of_the_file(tmp_path: Path) -> None:
    """5,000 are a few MB, which mosquitto reads at each start."""
    few, many = (
        made(tmp_path / str(number), *(f"many-{n}" for n in range(number))).access_file
        for number in (100, 200)
    )
    assert many.stat().st_size - few.stat().st_size < 100 * 1500


@pytest.mark.system
def test_many_at_once_go_into_the_file_before_a_start(tmp_path: Path) -> None:
    """Then mosquitto knows them all."""
    directory = made(tmp_path / "broker")
    names = [f"many-{n}" for n in range(MANY)]
    assert names == directory.admit(names)
    with RunningBroker(directory):
        assert enters(directory, names[-1])


@pytest.mark.system
def test_many_at_once_are_reported_to_a_broker_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In packets below its limit, with many commands each."""
    sent: list[int] = []
    send = Control._send

    def counted(control: Control, batch: Sequence[Command]) -> list[object]:
        sent.append(len(batch))
        return send(control, batch)

    monkeypatch.setattr(Control, "_send", counted)
    names = [f"many-{n}" for n in range(MANY)]
    with RunningBroker(made(tmp_path / "broker", "a-1")) as broker:
        assert names == broker.directory.admit(names)
        assert enters(broker.directory, names[-1])
    assert sum(sent) == 2 * MANY
    assert len(sent) < 2 * MANY * 1000 // MAX_COMMANDS


def enters(directory: BrokerFolder, name: str) -> bool:
    """Whether a router's password opens the broker."""
    password = directory.password(name)
    with Client(directory.ports.router, name, password, CLIENT_ID + name) as client:
        return client.answer() == "Success"
