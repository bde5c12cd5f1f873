"""Secrets, and what mosquitto compares them with."""

import os
from pathlib import Path

import pytest

from titik_collector.access.passwords import Hash, hash_password, make_secret, matches
from titik_collector.files.replace import Owner, replace_file, replacing

# Written by mosquitto_passwd 2.0.11 for the password "rahasia".
MOSQUITTOS = Hash(
    "dVnj3YnIEzxmdtVQ",
    "Lxz+nYvjMNLOsMyMvv/myOkU6RMJToJI1EBvMGSxx+Cwv/icoUTYPaerV8EHBhZR/PZdand4ZjqYgCfWypgyYg==",
)


def test_a_hash_is_as_mosquitto_writes_it() -> None:
    """What its own tool wrote matches, so what we write will."""
    assert matches("rahasia", MOSQUITTOS)
    assert not matches("Rahasia", MOSQUITTOS)


def test_a_hash_matches_its_password_alone() -> None:
    """Salted: the same password never looks the same."""
    one, other = hash_password("x"), hash_password("x")
    assert one != other
    assert matches("x", one)
    assert not matches("y", one)


@pytest.mark.parametrize(
    "hashed",
    [
        None,
        Hash("", ""),
        Hash("x", "y"),
        Hash(MOSQUITTOS.salt, MOSQUITTOS.digest[:-1]),
        Hash(MOSQUITTOS.salt, MOSQUITTOS.digest, 0),
    ],
)
def test_what_is_no_hash_matches_nothing(hashed: Hash | None) -> None:
    """A damaged line locks out, it does not let in."""
    assert not matches("", hashed)
    assert not matches("rahasia", hashed)


def test_a_secret_is_its_owners_from_the_first_byte(tmp_path: Path) -> None:
    """Whatever the umask allows, nobody else reads it."""
    before = os.umask(0)
    try:
        password = make_secret(tmp_path / "x.password")
    finally:
        os.umask(before)
    assert 0o600 == (tmp_path / "x.password").stat().st_mode & 0o777
    assert password == (tmp_path / "x.password").read_text().strip()
    assert len(password) == 32


def test_a_secret_is_never_written_over_another(tmp_path: Path) -> None:
    """A file that is there, or a link that leads elsewhere, is left alone."""
    make_secret(tmp_path / "x.password")
    with pytest.raises(FileExistsError):
        make_secret(tmp_path / "x.password")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """What an interrupted attempt left beside it is in nobody's way."""
    file = tmp_path / "acl"
    (tmp_path / ".acl.new").write_text("half")
    replace_file(file, "whole", Owner(-1, -1, 0o600))
    assert "whole" == file.read_text()
    assert ["acl"] == [one.name for one in tmp_path.iterdir()]


def test_a_replacement_is_its_owners_while_it_is_written(tmp_path: Path) -> None:
    """Whatever the umask allows, and whoever may read it afterwards."""
    before = os.umask(0)
    try:
        with replacing(tmp_path / "key", Owner(-1, -1, 0o644)):
            assert 0o600 == (tmp_path / ".key.new").stat().st_mode & 0o777
    finally:
        os.umask(before)


def test_of_a_replacement_that_fails_nothing_stays(tmp_path: Path) -> None:
    """What was there is as it was; half a key lies nowhere."""
    (tmp_path / "key").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace_file(tmp_path / "key", "half\udcff", Owner(-1, -1, 0o644))
    assert ["key"] == [one.name for one in tmp_path.iterdir()]
    assert "old" == (tmp_path / "key").read_text()
