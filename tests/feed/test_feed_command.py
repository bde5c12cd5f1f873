"""`titik feed build`, as an operator types it."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.feed.test_feed_folder import CONTROL, NAME, ipk, packed
from titik_collector.cli import titik

NEWER = NAME.replace("0.1.0", "0.2.0")

CITY = """\
city = { name = "kupang", title = "Kupang", timezone = "Asia/Makassar" }
store = { path = "titik.db" }
broker = { directory = "broker" }
"""


def build(folder: Path, *more: str) -> Result:
    """Beside the city of that folder."""
    given = ["--config", str(folder / "titik.toml"), *more]
    return CliRunner().invoke(titik, ["feed", "build", str(folder / "feed"), *given])


@pytest.fixture(autouse=True)
def city(tmp_path: Path) -> None:
    """Its file lies beside the feed."""
    (tmp_path / "titik.toml").write_text(CITY)


@pytest.fixture(autouse=True)
def no_apk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine as most are."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_new_versions_join_those_that_lie_there(tmp_path: Path) -> None:
    """The keys are made once, beside the configuration, and no list of theirs is ever another's."""
    package = ipk(tmp_path / "new")
    done = build(tmp_path, "--packages", str(package.parent))
    assert 0 == done.exit_code, done.output
    assert f"{tmp_path}/feed/24.10: {NAME}\n" in done.output
    assert f"{tmp_path}/feed-keys: new keys. Keep a copy elsewhere" in done.output
    assert "no new list of 25.12: apk 3 is not in PATH" in done.output
    assert 0o700 == (tmp_path / "feed-keys").stat().st_mode & 0o777
    package.unlink()
    ipk(package.parent, NEWER, CONTROL.replace("0.1.0", "0.2.0"))
    done = build(tmp_path, "--packages", str(package.parent))
    assert f"{tmp_path}/feed/23.05: {NAME}, {NEWER}\n" in done.output
    assert "new keys" not in done.output
    assert 0 == build(tmp_path).exit_code


def test_no_keys_are_made_in_passing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Routers would trust none of them: the refusal names the option, and makes nothing."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    given = [
        "feed",
        "build",
        str(tmp_path / "feed"),
        "--packages",
        str(ipk(tmp_path / "new").parent),
    ]
    done = CliRunner().invoke(titik, given)
    assert 1 == done.exit_code
    assert "elsewhere/feed-keys: no signing keys are there, and no city's file" in done.output
    assert "with --keys" in done.output
    assert ([], False) == (list(Path().iterdir()), (tmp_path / "feed").exists())

    assert 0 == CliRunner().invoke(titik, [*given, "--keys", "keys"]).exit_code
    done = build(tmp_path)
    assert 1 == done.exit_code
    assert f"{tmp_path}/feed is signed already. Name the folder of its keys with" in done.output
    assert not (tmp_path / "feed-keys").exists()
    assert 0 == build(tmp_path, "--keys", "keys").exit_code
    (tmp_path / "feed").rename(tmp_path / "former")
    assert 0 == build(tmp_path, "--packages", str(tmp_path / "new")).exit_code  # of its own keys
    (tmp_path / "feed").rename(tmp_path / "others")
    (tmp_path / "former").rename(tmp_path / "feed")
    done = build(tmp_path)
    assert 1 == done.exit_code
    assert "is of other keys" in done.output
    assert "Name the folder of its keys with --keys" in done.output


def test_a_version_is_published_once(tmp_path: Path) -> None:
    """The same content is nothing new; other content is an error that changes no byte."""
    package = ipk(tmp_path / "new")
    build(tmp_path, "--packages", str(package.parent))
    before = {one: one.read_bytes() for one in (tmp_path / "feed").rglob("*.*") if one.is_file()}
    assert 0 == build(tmp_path, "--packages", str(package.parent)).exit_code
    ipk(package.parent, control=CONTROL.replace("SSID", "radio"))
    done = build(tmp_path, "--packages", str(package.parent))
    assert 1 == done.exit_code
    assert "of a version that was published already, with other content" in done.output
    assert before == {one: one.read_bytes() for one in before}


def test_a_version_has_one_name(tmp_path: Path) -> None:
    """A file under another name would be the same version twice: the feed stays without it."""
    build(tmp_path, "--packages", str(ipk(tmp_path / "new").parent))
    other = ipk(tmp_path / "more", NEWER, CONTROL.replace("SSID", "radio"))
    done = build(tmp_path, "--packages", str(other.parent))
    assert 1 == done.exit_code
    assert f"{NEWER} is the same package as {NAME}, in its version too" in done.output
    assert 0 == build(tmp_path).exit_code


def test_what_stops_it_is_named(tmp_path: Path) -> None:
    """No package, one that is none, and keys where everybody could read them."""
    (tmp_path / "new").mkdir()
    for more, output in (
        ([], "there is no package to make a feed of"),
        (["--packages", str(tmp_path / "new")], "there is no .ipk and no .apk in it"),
        (["--keys", str(tmp_path / "feed/keys")], "which is served: name another with --keys"),
    ):
        done = build(tmp_path, *more)
        assert 1 == done.exit_code
        assert output in done.output
    (tmp_path / "new/titik.ipk").write_bytes(packed("./x", b""))
    done = build(tmp_path, "--packages", str(tmp_path / "new"))
    assert "titik.ipk is no package of opkg, or damaged" in done.output
    assert not os.path.lexists(tmp_path / "feed/keys")


def test_a_feed_is_apart_from_the_city(tmp_path: Path) -> None:
    """Any web server serves its folder; nothing is written where the broker's keys are."""
    (tmp_path / "feed/ca").mkdir(parents=True)
    (tmp_path / "titik.toml").write_text(CITY.replace('"broker"', '"feed"'))
    done = build(tmp_path, "--packages", str(ipk(tmp_path / "new").parent))
    assert 1 == done.exit_code
    expected = "feed is the city's own, and anybody may read it; name a folder of its own"
    assert expected in done.output
    assert ["ca"] == [one.name for one in (tmp_path / "feed").iterdir()]
    (tmp_path / "titik.toml").write_text(CITY + "[brokr]\n")  # it cannot be known
    done = build(tmp_path, "--packages", str(tmp_path / "new"))
    assert (1, True) == (done.exit_code, "titik.toml: brokr: " in done.output)
    assert ["ca"] == [one.name for one in (tmp_path / "feed").iterdir()]
    (tmp_path / "titik.toml").write_text(CITY)
    assert 0 == build(tmp_path, "--packages", str(tmp_path / "new")).exit_code
