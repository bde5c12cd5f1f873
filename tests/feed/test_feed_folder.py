"""The feeds as files: opkg's list against signify, and what stops a feed."""

import gzip
import hashlib
import io
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.feed.test_usign import signify
from titik_collector.feed.feed_error import FeedError
from titik_collector.feed.feed_folder import write_feeds
from titik_collector.feed.signing_keys import keys_in

pytestmark = pytest.mark.system

NAME = "titik-agent_0.1.0-r1_all.ipk"
CONTROL = """\
Package: titik-agent
Version: 0.1.0-r1
Depends: libc, python3-light
Description:  Counts the clients of each SSID.
 No address leaves the router.
"""


def packed(name: str, content: bytes) -> bytes:
    """A gzipped tar of one file."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def ipk(folder: Path, name: str = NAME, control: str = CONTROL) -> Path:
    """A package that has nothing in it but what it says of itself."""
    folder.mkdir(exist_ok=True)
    inner = packed("./control", control.encode())
    (folder / name).write_bytes(packed("./control.tar.gz", inner))
    return folder / name


def verified(feed: Path, name: str, public: Path) -> bool:
    """What signify says of a file of the feed."""
    return signify("-V", "-p", str(public), "-x", str(feed / f"{name}.sig"), "-m", str(feed / name))


def test_opkg_gets_a_list_that_is_signed(tmp_path: Path) -> None:
    """It names each file, its size and its sum; the packed one is the same."""
    package, out = ipk(tmp_path / "built"), tmp_path / "feed"
    feeds = write_feeds([package], out, keys_in(tmp_path / "keys"), None)
    assert ["23.05", "24.10"] == [one.release for one in feeds]
    for feed in feeds:
        text = (feed.folder / "Packages").read_bytes()
        digest = hashlib.sha256((feed.folder / NAME).read_bytes()).hexdigest()
        before, after = CONTROL.split("Description:")
        size = package.stat().st_size
        found = f"Filename: {NAME}\nSize: {size}\nSHA256sum: {digest}\n"
        assert f"{before}{found}Description:{after}\n" == text.decode()
        assert text == gzip.decompress((feed.folder / "Packages.gz").read_bytes())
        assert verified(feed.folder, "Packages", out / "titik-opkg.pub")
        assert verified(feed.folder, NAME, out / "titik-opkg.pub")
        assert {0o644} == {one.stat().st_mode & 0o777 for one in feed.folder.iterdir()}


@pytest.mark.parametrize("name", ["Packages", NAME])
def test_a_feed_that_was_tampered_with_is_refused(tmp_path: Path, name: str) -> None:
    """By a byte in the list, or in a package."""
    keys = keys_in(tmp_path / "keys")
    (feed, _) = write_feeds([ipk(tmp_path / "built")], tmp_path / "feed", keys, None)
    content = bytearray((feed.folder / name).read_bytes())
    content[-3] ^= 1
    (feed.folder / name).write_bytes(content)
    assert not verified(feed.folder, name, tmp_path / "feed/titik-opkg.pub")


def test_an_older_package_stays_in_the_feed(tmp_path: Path) -> None:
    """A router may go back to it; opkg's list has both."""
    keys, newer = keys_in(tmp_path / "keys"), CONTROL.replace("0.1.0", "0.2.0")
    write_feeds([ipk(tmp_path / "built")], tmp_path / "feed", keys, None)
    package = ipk(tmp_path / "built", NAME.replace("0.1.0", "0.2.0"), newer)
    (feed, _) = write_feeds([package], tmp_path / "feed", keys, None)
    assert [NAME, package.name] == feed.packages
    text = (feed.folder / "Packages").read_text()
    assert ["0.1.0-r1", "0.2.0-r1"] == re.findall("^Version: (.*)$", text, re.M)


def test_the_same_packages_give_the_same_feed(tmp_path: Path) -> None:
    """To the byte, signatures too."""
    package, keys = ipk(tmp_path / "built"), keys_in(tmp_path / "keys")
    feeds = [write_feeds([package], tmp_path / one, keys, None)[0].folder for one in ("a", "b")]
    first, second = ({one.name: one.read_bytes() for one in feed.iterdir()} for feed in feeds)
    assert first == second


def test_keys_are_made_once(tmp_path: Path) -> None:
    """Secret ones are their owner's alone, and a second call changes no byte."""
    first = keys_in(tmp_path / "keys")
    before = {one.name: one.read_bytes() for one in (tmp_path / "keys").iterdir()}
    assert first == keys_in(tmp_path / "keys")
    assert before == {one.name: one.read_bytes() for one in (tmp_path / "keys").iterdir()}
    modes = {one.name: one.stat().st_mode & 0o777 for one in (tmp_path / "keys").iterdir()}
    assert {
        "titik-opkg.key": 0o600,
        "titik-opkg.pub": 0o644,
        "titik-apk.key": 0o600,
        "titik-apk.pem": 0o644,
    } == modes
    assert 0o700 == (tmp_path / "keys").stat().st_mode & 0o777


def test_openssl_reads_apks_key(tmp_path: Path) -> None:
    """It is of the curve that OpenWrt's own build makes."""
    keys_in(tmp_path / "keys")
    asked = ["openssl", "pkey", "-in", str(tmp_path / "keys/titik-apk.key"), "-noout", "-text"]
    printed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert "ASN1 OID: prime256v1" in printed
    asked = ["openssl", "pkey", "-in", str(tmp_path / "keys/titik-apk.key"), "-pubout"]
    public = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert (tmp_path / "keys/titik-apk.pem").read_text() == public


@pytest.mark.parametrize("name", ["titik-opkg", "titik-apk"])
def test_a_lost_secret_key_is_not_replaced_in_silence(tmp_path: Path, name: str) -> None:
    """Routers trust the one that is lost."""
    keys_in(tmp_path / "keys")
    (tmp_path / f"keys/{name}.key").unlink()
    with pytest.raises(FeedError, match=rf"{name}\.key is missing: bring it back from a backup"):
        keys_in(tmp_path / "keys")


@pytest.mark.parametrize("name", ["titik-opkg", "titik-apk"])
def test_a_public_key_of_another_pair_is_refused(tmp_path: Path, name: str) -> None:
    """A router that got it would refuse every package."""
    for one in ("keys", "others"):
        keys_in(tmp_path / one)
    (tmp_path / f"keys/{name}.key").write_bytes((tmp_path / f"others/{name}.key").read_bytes())
    with pytest.raises(FeedError, match="is not the public key of the secret one"):
        keys_in(tmp_path / "keys")


@pytest.mark.parametrize("name", ["titik-opkg.key", "titik-apk.key"])
def test_a_damaged_key_is_named(tmp_path: Path, name: str) -> None:
    """With its file."""
    keys_in(tmp_path / "keys")
    (tmp_path / "keys" / name).write_bytes(b"\xff\n")
    with pytest.raises(FeedError, match=re.escape(f"{tmp_path}/keys/{name}: ")):
        keys_in(tmp_path / "keys")


@pytest.mark.parametrize("name", ["titik-opkg.pub", "titik-apk.pem"])
def test_a_feed_of_other_keys_stays_as_it_is(tmp_path: Path, name: str) -> None:
    """As where a newer clone has made keys of its own: each router would refuse its list."""
    package, out = ipk(tmp_path / "built"), tmp_path / "feed"
    write_feeds([package], out, keys_in(tmp_path / "keys"), None)
    for one in {"titik-opkg.pub", "titik-apk.pem"} - {name}:
        (out / one).unlink()
    before = (out / "24.10/Packages.sig").read_bytes()
    with pytest.raises(FeedError, match=rf"{name} is of other keys"):
        write_feeds([package], out, keys_in(tmp_path / "others"), None)
    assert before == (out / "24.10/Packages.sig").read_bytes()


def test_without_apk_its_feed_stays_as_it_is(tmp_path: Path) -> None:
    """The others are made."""
    former = tmp_path / "feed/25.12"
    former.mkdir(parents=True)
    for name in ("titik-agent-0.1.0-r1.apk", "packages.adb"):
        (former / name).write_bytes(b"former")
    package = ipk(tmp_path / "built")
    feeds = write_feeds([package], tmp_path / "feed", keys_in(tmp_path / "keys"), None)
    assert ["23.05", "24.10"] == [one.release for one in feeds]
    assert b"former" == (former / "packages.adb").read_bytes()


def test_what_stops_a_feed_is_named(tmp_path: Path) -> None:
    """No package, another's file, a damaged one, or apk is missing."""
    keys, out = keys_in(tmp_path / "keys"), tmp_path / "feed"
    for name, content, output in (
        (None, b"", "there is no package to make a feed of"),
        ("titik.deb", b"", "titik.deb is no package: the names end in .ipk or .apk"),
        ("titik.ipk", b"?", "titik.ipk is no package of opkg, or damaged"),
        ("titik.ipk", packed("./x", b""), "titik.ipk is no package of opkg, or damaged"),
        ("titik.apk", b"", "apk 3 makes and signs the list of 25.12, and is not in PATH"),
    ):
        packages = []
        if name is not None:
            packages = [tmp_path / name]
            packages[0].write_bytes(content)
        with pytest.raises(FeedError, match=re.escape(output)):
            write_feeds(packages, out, keys, None)
        for one in out.rglob("titik.*"):
            one.unlink()
