"""The files that a city's file names are in its backup: without them no message leaves."""

import io
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from tests.broker.enrolled import City
from titik_collector import backup
from titik_collector.backups import sealing
from titik_collector.config.model import Config
from titik_collector.config.named_files import END
from titik_collector.config.schema import FILE, Setting, Table, Tables

NAMING = """
[smtp]
host = "mail.example.org"
user = "titik"
password_file = "secret/smtp"
sender = "titik@example.org"
ca_file = "secret/authorities.pem"
[heartbeat]
url_file = "secret/heartbeat"
[[receiver]]
name = "it"
type = "email"
to = "it@example.org"
[[receiver]]
name = "night"
type = "apprise"
url_file = "secret/telegram"
[[receiver]]
name = "day"
type = "apprise"
url_file = "secret/../secret/telegram"
[[receiver]]
name = "desk"
type = "webhook"
url_file = "broker/desk"
secret_file = "secret/signature"
"""
SECRETS = ("secret/smtp", "secret/heartbeat", "secret/telegram", "broker/desk", "secret/signature")
FILES = (*SECRETS, "secret/authorities.pem")

# Keys with a path that a backup has under another name, or does not have.
OTHERWISE = {
    "alerts.backup": "a folder of backups",
    "backup.folder": "a folder of backups",
    "broker.directory": "as `broker`, file by file",
    "collector.state": "of one moment; it is written again",
    "public.directory": "a folder of what is written again",
    "receiver.folder": "e-mails of a trial",
    "store.path": "as `titik.db`",
    "web.basemap": "as `web/basemap`",
    "web.tls_cert": "as `web/tls.crt`",
    "web.tls_key": "as `web/tls.key`",
}


def keys_of_paths(cls: type = Config, before: str = "") -> Iterator[str]:
    """Every key that holds a path."""
    hints = get_type_hints(cls, include_extras=True)
    for field in fields(cls):
        for one in getattr(hints[field.name], "__metadata__", ()):
            assert isinstance(one, Setting)
            if isinstance(one.kind, Table | Tables):
                yield from keys_of_paths(one.kind.of, f"{before}{field.name}.")
            elif one.kind is FILE:
                yield f"{before}{field.name}"


def test_every_key_of_a_path_is_in_a_backup_or_excused() -> None:
    """A new one ends in `_file`, or comes into this list with a reason."""
    assert set(OTHERWISE) == {one for one in keys_of_paths() if not one.endswith(END)}


def test_each_file_has_a_user_who_reads_it() -> None:
    """Else a restore gives it to nobody."""
    tables = {one.partition(".")[0] for one in keys_of_paths() if one.endswith(END)}
    assert tables - {"store", "web"} == set(backup.READERS)


@pytest.fixture
def naming(city: City) -> City:
    """With a mail server, a heartbeat and receivers."""
    toml = city.folder / "titik.toml"
    toml.write_text(toml.read_text() + NAMING)
    (city.folder / "secret").mkdir()
    for name in FILES:
        (city.folder / name).write_text(name)
        (city.folder / name).chmod(0o600)
    return city


@pytest.mark.system
def test_they_come_back_for_those_who_read_them(naming: City, tmp_path: Path) -> None:
    """Secrets for their user alone; authorities for all, because the collector reads them too."""
    file = tmp_path / "city.tar.gz"
    naming.says("backup", str(file))
    assert f"{file}: is whole" in naming.says("backup", "verify", str(file))
    there = City(tmp_path / "there")
    output = there.says("restore", str(file))
    assert [*FILES] == [(there.folder / one).read_text() for one in FILES]
    modes = [stat.S_IMODE((there.folder / one).stat().st_mode) for one in FILES]
    assert [0o600] * len(SECRETS) + [0o644] == modes
    assert 0o644 == stat.S_IMODE((there.folder / "titik.toml").stat().st_mode)
    given = [one for one in output.splitlines() if "chown titik-notify: " in one]
    assert (os.geteuid() == 0) == (len(given) == 1)
    assert all(f"{there.folder}/{one}" in line for one in SECRETS for line in given)
    assert not any("authorities.pem" in one for one in given)
    assert "not in the backup" not in output


@pytest.mark.system
def test_one_that_is_away_is_named_at_both_ends(naming: City, tmp_path: Path) -> None:
    """As the page's are; a look into such a backup finds it too."""
    file = tmp_path / "city.tar.gz"
    (naming.folder / "secret/smtp").unlink()
    output = naming.says("backup", str(file), status=1)
    assert f"warning: left out: {naming.folder}/secret/smtp, which cannot be read" in output
    output = naming.says("backup", "verify", str(file), status=1)
    assert "lacks named/smtp.password_file, which its configuration names" in output
    there = City(tmp_path / "there")
    output = there.says("restore", str(file))
    assert f"not in the backup: {there.folder}/secret/smtp, which" in output
    assert 1 == output.count("not in the backup")


@pytest.mark.system
def test_they_are_sealed_with_the_keys_and_not_with_the_store(
    naming: City, stored: City, tmp_path: Path
) -> None:
    """The store is what is given to somebody who gets no key."""
    assert naming is stored
    public = sealing.make_identity(tmp_path / "city.key")
    toml = naming.folder / "titik.toml"
    toml.write_text(f'{toml.read_text()}\n[backup]\nrecipient = "{public}"\n')
    naming.says("backup", str(tmp_path / "city"))
    names = {}
    for part in ("keys", "store"):
        opened = tmp_path / part
        sealing.unseal(tmp_path / f"city-{part}.tar.gz.age", opened, tmp_path / "city.key")
        with tarfile.open(opened) as tar:
            names[part] = {one for one in tar.getnames() if one.startswith("named/")}
    assert {"named/smtp.password_file", "named/receiver.3.secret_file"} < names["keys"]
    assert set() == names["store"]


@pytest.mark.system
def test_a_file_that_is_there_already_needs_no_force(naming: City, tmp_path: Path) -> None:
    """Such as the authorities of the system: nothing is written outside of the city's folder."""
    outside, file = tmp_path / "outside" / "system.pem", tmp_path / "city.tar.gz"
    outside.parent.mkdir()
    outside.touch()
    toml = naming.folder / "titik.toml"
    toml.write_text(toml.read_text().replace("secret/authorities.pem", str(outside)))
    naming.says("backup", str(file))
    output = City(tmp_path / "there").says("restore", str(file))
    assert f"kept, because it may be newer than the backup's: {outside}" in output
    outside.unlink()
    output = City(tmp_path / "another").says("restore", str(file), status=1)
    assert f"the backup puts {outside}" in output


@pytest.mark.system
def test_a_hostile_backup_has_root_give_nothing_away(naming: City, tmp_path: Path) -> None:
    """Whoever made it may have named a file of this machine, and root types what is printed."""
    outside, file = tmp_path / "outside", tmp_path / "city.tar.gz"
    outside.touch()
    toml = naming.folder / "titik.toml"
    toml.write_text(toml.read_text().replace("secret/smtp", str(outside)))
    naming.says("backup", str(file))
    output = City(tmp_path / "there").says("restore", str(file))
    assert not any("chown" in one for one in output.splitlines() if str(outside) in one)


@pytest.mark.system
@pytest.mark.parametrize("place", ["broker/systemd/ssh.service", "broker", "litestream.yml"])
def test_a_hostile_backup_starts_no_program(naming: City, tmp_path: Path, place: str) -> None:
    """A named file would be a unit, or what Litestream reads, whose file can start programs."""
    toml, file = naming.folder / "titik.toml", tmp_path / "city.tar.gz"
    naming.says("backup", str(file))
    text = toml.read_text().replace("secret/smtp", place)
    with tarfile.open(file) as old, tarfile.open(tmp_path / "hostile.tar.gz", "w:gz") as new:
        for one in old:
            raw = old.extractfile(one)
            assert raw is not None
            content = text.encode() if one.name == "titik.toml" else raw.read()
            one.size = len(content)
            new.addfile(one, io.BytesIO(content))
    output = City(tmp_path / "there").says("restore", str(tmp_path / "hostile.tar.gz"), status=1)
    assert f"belongs not at {tmp_path}/there/{place}" in output
    assert not (tmp_path / "there" / "titik.toml").exists()
