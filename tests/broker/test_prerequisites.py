"""When units are written, what they keep, and what an operator is asked to do before."""

import os
import pwd
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.broker.enrolled import City
from titik_collector.cli import titik
from titik_collector.units import prerequisites, systemd_units
from titik_collector.units.prerequisites import Layout
from titik_collector.units.systemd_units import Mosquitto

ME = pwd.getpwuid(os.geteuid()).pw_name
CONFIG = """\
[city]
name = "kupang"
title = "Kupang"
timezone = "Asia/Makassar"
[broker]
directory = "broker"
[store]
path = "titik.db"
"""
# Tables that have keys of the names that are edited, or a folder that anybody may read.
OTHERS = """\
[public]
directory = "public"
[smtp]
password_file = "mail"
path = "x"
[[receiver]]
path = "y"
directory = "z"
"""


def small(folder: Path, **other: object) -> Layout:
    """A city in one folder, all of it one user's."""
    place = Layout(
        folder / "broker",
        folder / "titik.toml",
        folder / "titik.db",
        Path("/bin/true"),
        ME,
        ME,
        ME,
        ME,
        ME,
    )
    return replace(place, **other)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A city's folder; /etc and /var are below another one, and `home` is a home directory."""
    monkeypatch.setattr(prerequisites, "HOMES", (tmp_path / "home",))
    monkeypatch.setattr(prerequisites, "ETC", tmp_path / "etc")
    monkeypatch.setattr(prerequisites, "VAR", tmp_path / "var")
    folder = tmp_path / "home" / "a city"
    (folder / "broker/systemd").mkdir(parents=True)
    (folder / "titik.toml").write_text(CONFIG)
    for name in ("titik-broker.service", "titik-renew.timer"):
        (folder / "broker/systemd" / name).touch()
    (folder / "titik.db").write_text("the store")
    return folder


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every user of the units is who runs the tests; its program is not below /root."""
    monkeypatch.setattr(systemd_units, "USER", ME)
    monkeypatch.setattr(systemd_units, "WEB_USER", ME)
    monkeypatch.setattr(systemd_units, "NOTIFY_USER", ME)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")


def units_of(city: City) -> dict[str, str]:
    """Every unit's text by its name."""
    return {one.name: one.read_text() for one in (city.folder / "broker/systemd").glob("*")}


def test_a_city_that_its_users_reach_needs_nothing(folder: Path, tmp_path: Path) -> None:
    """So the units are written at once."""
    elsewhere = folder.rename(tmp_path / "srv")
    assert [] == prerequisites.commands(small(elsewhere))


def test_the_commands_move_a_city_out_of_a_home_directory(folder: Path, tmp_path: Path) -> None:
    """Typed as they are printed: afterwards there is nothing left to do."""
    output = prerequisites.commands(small(folder))
    assert output[0] == "systemctl disable --now titik-broker.service titik-renew.timer"
    assert (
        output[-1] == f"titik broker init {tmp_path}/var/broker --config {tmp_path}/etc/titik.toml"
    )
    subprocess.run(["sh", "-euc", "\n".join(output[1:-1])], check=True)
    text = (tmp_path / "etc/titik.toml").read_text()
    assert f'path = "{tmp_path}/var/store/titik.db"' in text
    assert f'directory = "{tmp_path}/var/broker"' in text
    assert "the store" == (tmp_path / "var/store/titik.db").read_text()
    assert [] == list(folder.iterdir())
    there = small(
        folder,
        directory=tmp_path / "var/broker",
        config=tmp_path / "etc/titik.toml",
        store=tmp_path / "var/store/titik.db",
    )
    assert [] == prerequisites.commands(there)


def test_the_password_of_a_store_on_a_server_becomes_the_collector_s(
    folder: Path, tmp_path: Path
) -> None:
    """Nothing else of it lies here; the broker's key of that name stays as it is."""
    (folder / "titik.toml").write_text(
        CONFIG.replace(
            'path = "titik.db"', 'url = "postgresql://a@b/c"\npassword_file = "its/secret"'
        ).replace("[store]", 'password_file = "other"\n[store]')
        + '[smtp]\npassword_file = "mail"\n'
    )
    (folder / "its").mkdir()
    (folder / "titik.db").rename(folder / "its/secret")
    here = small(folder, store=None, password=folder / "its/secret")
    subprocess.run(["sh", "-euc", "\n".join(prerequisites.commands(here)[1:-1])], check=True)
    text = (tmp_path / "etc/titik.toml").read_text()
    assert 'password_file = "other"' in text
    assert 'password_file = "mail"' in text
    assert f'password_file = "{tmp_path}/etc/secret"' in text
    assert f'directory = "{tmp_path}/var/broker"' in text
    there = small(
        folder,
        directory=tmp_path / "var/broker",
        config=tmp_path / "etc/titik.toml",
        store=None,
        password=tmp_path / "etc/secret",
    )
    assert [] == prerequisites.commands(there)
    expected = [f"chown nobody: {tmp_path}/etc/secret", f"chmod 600 {tmp_path}/etc/secret"]
    assert expected == prerequisites.commands(replace(there, collector_user="nobody"))[:-1]


@pytest.mark.parametrize("at", ["before", "between", "after"])
def test_a_key_is_edited_in_its_own_table_alone(at: str, folder: Path, tmp_path: Path) -> None:
    """Other tables have keys of that name; one that changed would publish the broker's keys."""
    texts = {
        "before": OTHERS + CONFIG,
        "between": CONFIG.replace("[store]", f"{OTHERS}[store]"),
        "after": CONFIG + OTHERS,
    }
    file = folder / "titik.toml"
    file.write_text(texts[at].replace("[broker]", " [ broker ] # ours"))
    before = tomllib.loads(file.read_text())
    output = prerequisites.commands(small(folder, store=folder / "t|i&k.db"))
    subprocess.run(["sh", "-euc", "\n".join(output[1:-1])], check=True)
    expected = {
        **before,
        "broker": {"directory": f"{tmp_path}/var/broker"},
        "store": {"path": f"{tmp_path}/var/store/t|i&k.db"},
    }
    assert expected == tomllib.loads((tmp_path / "etc/titik.toml").read_text())


def test_a_key_that_no_command_can_edit_is_printed_in_words(folder: Path, tmp_path: Path) -> None:
    """A table in one line, as docs/web.md has it; the rest of the line is the operator's."""
    text = CONFIG.partition("[broker]")[0].replace("[city]", "")
    text = 'store = { path = "titik.db" }\nbroker.directory = "broker"\n[city]\n' + text
    (folder / "titik.toml").write_text(text)
    output = prerequisites.commands(small(folder))
    config = tmp_path / "etc/titik.toml"
    expected = [
        f'# by hand, in {config}: store.path = "{tmp_path}/var/store/titik.db"',
        f'# by hand, in {config}: broker.directory = "{tmp_path}/var/broker"',
    ]
    assert expected == output[-3:-1]
    subprocess.run(["sh", "-euc", "\n".join(output[1:-1])], check=True)
    assert text == config.read_text()


def test_what_else_the_file_names_is_moved_by_hand(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No unit reaches a home directory, and from its new place a relative path is another."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    page = f'[web]\ntls_cert = "page.crt"\ntls_key = "{tmp_path}/page.key"\n'
    (folder / "titik.toml").write_text(f"{CONFIG}{page}[public]\ndirectory = 'public'\n")
    broker = Mosquitto(directory=folder / "broker", account=ME, collector="c", lowest_port=8883)
    place = systemd_units.find(broker, folder / "titik.toml")
    assert place is not None
    into = f"too, and its line in {tmp_path}/etc/titik.toml"
    expected = [f"# by hand, move {folder / one} {into}" for one in ("page.crt", "public")]
    assert expected == [one for one in prerequisites.commands(place) if "by hand" in one]


def test_what_goes_with_the_broker_s_folder_is_not_moved_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line alone is to be changed, also in a configuration that stays."""
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    broker = Mosquitto(directory=folder / "broker", account=ME, collector="c", lowest_port=8883)
    (tmp_path / "srv").mkdir()
    for file, then in (
        (folder / "titik.toml", tmp_path / "etc/titik.toml"),
        (tmp_path / "srv/titik.toml", tmp_path / "srv/titik.toml"),
    ):
        page = f'[web]\ntls_cert = "{folder}/broker/tls/page.crt"\ntls_key = "/x/page.key"\n'
        file.write_text(f"{CONFIG}{page}")
        place = systemd_units.find(broker, file)
        assert place is not None
        expected = [
            f"# by hand, in {then}: {folder}/broker/tls/page.crt is"
            f" {tmp_path}/var/broker/tls/page.crt now"
        ]
        assert expected == [one for one in prerequisites.commands(place) if "by hand" in one]


def test_only_what_moves_is_edited(folder: Path, tmp_path: Path) -> None:
    """A broker whose folder stays keeps its line, and the note beside it."""
    elsewhere = folder.rename(tmp_path / "srv")
    output = prerequisites.commands(small(elsewhere, collector_user="nobody"))
    [edit] = [one for one in output if one.startswith("sed ")]
    assert "broker" not in edit


def test_a_store_beside_other_things_gets_a_folder_of_its_own(folder: Path, tmp_path: Path) -> None:
    """Where the collector has a user of its own, who may replace every file there."""
    elsewhere = folder.rename(tmp_path / "srv")
    output = prerequisites.commands(small(elsewhere, collector_user="nobody"))
    assert f"mv {elsewhere}/titik.db {tmp_path}/var/store/" in output
    assert f"chown -R nobody: {tmp_path}/var/store" in output
    assert not any("mv -T" in line for line in output)


def test_the_store_is_shared_with_the_page_s_user(folder: Path, tmp_path: Path) -> None:
    """Who is in the group of the collector's; once its files may be read, there is nothing to do.

    The desk beside it is the page's, and a new city has none yet.
    """
    store = tmp_path / "store" / "titik.db"
    store.parent.mkdir()
    store.touch(0o600)
    place = small(folder.rename(tmp_path / "srv"), store=store, web_user="nobody")
    commands = prerequisites.commands(place)
    assert f"chmod 640 {store}" in commands
    subprocess.run(["sh", "-euc", "\n".join(commands[:-1])], check=True)
    assert 0o640 == store.stat().st_mode & 0o777
    assert [] == prerequisites.commands(place)
    for name in ("titik.db.desk", "titik.db.notify"):
        beside = store.with_name(name)
        beside.mkdir()
        os.chown(beside, pwd.getpwnam("nobody").pw_uid, -1)
    assert [] == prerequisites.commands(place)


def test_a_user_that_is_not_there_is_made(folder: Path, tmp_path: Path) -> None:
    """By the first command."""
    elsewhere = folder.rename(tmp_path / "srv")
    output = prerequisites.commands(small(elsewhere, collector_user="no-such-user"))
    assert output[0].startswith("useradd --system ")


def test_a_program_in_a_home_directory_is_installed_first(folder: Path, tmp_path: Path) -> None:
    """A service's user cannot run it there."""
    elsewhere = folder.rename(tmp_path / "srv")
    output = prerequisites.commands(small(elsewhere, program=tmp_path / "home/.venv/bin/titik"))
    assert output[0].startswith("make install")


@pytest.mark.system
def test_a_city_at_home_keeps_its_units(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is changed; the operator gets the commands."""
    monkeypatch.setattr(prerequisites, "HOMES", (city.folder,))
    (city.folder / "broker/systemd").mkdir()
    unit = city.folder / "broker/systemd/titik-collector.service"
    unit.write_text("of an earlier version")
    output = city.says("broker", "init", str(city.folder / "broker"))
    assert "the units stay as they are; first, as root:" in output
    assert {unit.name: "of an earlier version"} == units_of(city)


@pytest.mark.system
def test_a_first_init_at_home_names_the_way_to_units(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is none that could stay; a trial goes on without."""
    monkeypatch.setattr(prerequisites, "HOMES", (city.folder,))
    output = city.says("broker", "init", str(city.folder / "broker"))
    assert "no units for systemd yet; to have them, as root:" in output
    assert "stay as they are" not in output


@pytest.mark.system
@pytest.mark.usefixtures("ours")
def test_units_keep_what_they_were_made_for(city: City) -> None:
    """Another engineer, or another port, is no other configuration."""
    city.says("broker", "init", str(city.folder / "broker"))
    before = units_of(city)
    assert f"--config {city.folder}/titik.toml" in before["titik-collector.service"]
    other = city.folder / "other.toml"
    other.write_text((city.folder / "titik.toml").read_text())
    typed("engineer", "add", "ina", "--config", str(other))
    typed("broker", "init", str(city.folder / "broker"), "--engineer", "maria")
    assert before == units_of(city)


@pytest.mark.system
@pytest.mark.usefixtures("ours")
def test_units_go_over_to_a_configuration_that_init_is_given(city: City) -> None:
    """That alone changes what they are for."""
    city.says("broker", "init", str(city.folder / "broker"))
    other = city.folder / "other.toml"
    other.write_text((city.folder / "titik.toml").read_text())
    output = typed("broker", "init", str(city.folder / "broker"), "--config", str(other))
    assert "systemctl daemon-reload" in output
    assert f"--config {other}" in units_of(city)["titik-collector.service"]


@pytest.mark.system
@pytest.mark.usefixtures("ours")
def test_a_city_whose_store_is_on_a_server_has_units(city: City) -> None:
    """Nobody asks the server for that."""
    file = city.folder / "titik.toml"
    file.write_text(
        re.sub(r"(?m)^path = .*$", 'url = "postgresql://a@b.invalid/c"', file.read_text())
    )
    city.says("broker", "init", str(city.folder / "broker"))
    assert "titik backup" in units_of(city)["titik-backup.service"]


def typed(*words: str) -> str:
    """What `titik` prints."""
    done = CliRunner().invoke(titik, words)
    assert 0 == done.exit_code, done.output
    return done.output
