"""What an init with another port says to an operator whose routers know the old one."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.broker.enrolled import City
from tests.ports import free_ports
from titik_collector.broker_setup.broker_init import Request, init
from titik_collector.cli import titik

pytestmark = pytest.mark.system


def warnings(city: City, **asked: int) -> list[str]:
    """What an init with these ports warns of."""
    _, output = init(city.folder / "broker", Request(**asked))  # type: ignore[arg-type]
    return [line for line in output if line.startswith("warning: ")]


def test_another_port_for_routers_names_who_is_cut_off(city: City) -> None:
    """With the way back, and what lets each in again; files that lie there are dead too."""
    (port,) = free_ports(1)
    was = city.broker.ports.router
    assert [] == warnings(city, router_port=was)
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    city.says("router", "add", "tirosa-2", "--site", "taman-tirosa")
    city.says("router", "revoke", "tirosa-2")
    (warning,) = warnings(city, router_port=port)
    assert f"1 routers (tirosa-1) know port {was} and are cut off" in warning
    assert "a new file, also where the old one was not run yet" in warning
    assert f"titik broker init {city.folder}/broker --port {was};" in warning
    assert "titik router rotate NAME" in warning
    assert [] == warnings(city, router_port=port)


def test_another_port_for_engineers_names_who_is_cut_off(city: City) -> None:
    """Who has a file with the old one in it; everybody's engineer has none."""
    first, second = free_ports(2)
    was = city.broker.ports.engineer
    assert [] == warnings(city, engineer_port=first)
    city.says("engineer", "add", "ina")
    (warning,) = warnings(city, engineer_port=second)
    assert f"1 engineers (ina) know port {first} and are cut off" in warning
    assert f"--engineer-port {first}; or give each a new file: titik engineer add NAME" in warning
    assert was != first


def test_a_trials_routers_need_a_line(tmp_path: Path) -> None:
    """They have no file of ours, but settings that somebody wrote."""
    was, now, engineer, collector = free_ports(4)
    ports = {"engineer_port": engineer, "collector_port": collector}
    init(tmp_path / "broker", Request(router_port=was, routers=("a-1",), **ports))  # type: ignore[arg-type]
    _, output = init(tmp_path / "broker", Request(router_port=now))
    (warning,) = [line for line in output if line.startswith("warning: ")]
    assert f"1 routers (a-1) know port {was}" in warning
    assert warning.endswith(f"or give each the line: port = {now}")


def test_all_of_the_file_are_enrolled_at_once(city: City) -> None:
    """Those without a credential; nobody gets a second one, and a revoked one stays out."""
    toml = city.folder / "titik.toml"
    tables = "".join(
        f'[[router]]\nname = "tirosa-{number}"\nsite = "taman-tirosa"\n' for number in range(1, 5)
    )
    toml.write_text(toml.read_text() + tables)
    city.says("router", "add", "tirosa-1")  # the file says where it stands
    city.says("router", "add", "tirosa-2")
    city.says("router", "revoke", "tirosa-2")
    before = (city.folder / "broker/secrets/tirosa-1.sh").read_text()
    output = city.says("router", "add", "--all")
    assert "2 of 4 routers got credentials; run each on its router as root" in output
    secrets = city.folder / "broker/secrets"
    assert f"  {secrets}/tirosa-3.sh\n  {secrets}/tirosa-4.sh\n" in output
    assert before == (secrets / "tirosa-1.sh").read_text()
    assert not (secrets / "tirosa-2.sh").exists()
    assert "nothing to do: each of 4 routers has credentials, or is revoked\n" == city.says(
        "router", "add", "--all"
    )


def test_a_router_that_the_file_lacks_needs_a_site(city: City) -> None:
    """And only one of a name and --all is asked for."""
    output = city.says("router", "add", "tirosa-1", status=1)
    assert "does not have it; name its site: --site SITE" in output
    for words in ((), ("tirosa-1", "--all"), ("--all", "--site", "taman-tirosa")):
        assert "--all alone" in city.says("router", "add", *words, status=2)


def typed(city: City, *words: str) -> str:
    """What the command says of the name `-x`."""
    given = [*words, "--config", str(city.folder / "titik.toml"), "--", "-x"]
    done = CliRunner().invoke(titik, given)
    assert 1 == done.exit_code, done.output
    return done.output


def test_a_new_name_begins_with_a_letter_or_a_digit(city: City) -> None:
    """To programs one that begins with - is an option; a city that has one keeps it."""
    output = typed(city, "router", "add", "--site", "taman-tirosa")
    assert '"-x" begins with -; begin a name with a letter or a digit' in output
    output = typed(city, "engineer", "add")
    assert "-x: begins with -; begin a name with a letter or a digit" in output
    toml = city.folder / "titik.toml"
    toml.write_text(toml.read_text() + '[[router]]\nname = "-x"\nsite = "taman-tirosa"\n')
    assert "-x" in city.says("router", "list")
