"""When a file of the certificate authority is lost: who says so, and that it is not made again."""

import datetime as dt
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.broker.enrolled import City, made
from tests.cases import few
from titik_collector.cli import titik
from titik_collector.files.replace import Owner, replace_file

LOST = ["ca/ca.key", "ca/revoked", "tls/ca.crt", "tls/server.crt", "tls/server.key", "tls/crl.pem"]
FLIPS = 60  # enough to meet every traceback that there was in keys and certificates
CUTS_OFF = "which cuts off every router and engineer"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[City, Path]:
    """A city with a router and a backup of all, and a copy of it: making it takes longer."""
    city = made(tmp_path_factory.mktemp("enrolled"))
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    city.says("backup", str(city.folder / "city.tar.gz"))
    return city, copied(city.folder, tmp_path_factory.mktemp("kept") / "enrolled")


@pytest.fixture
def enrolled(kept: tuple[City, Path]) -> City:
    """As it was made, in the same folder, which its files name."""
    city, copy = kept
    shutil.rmtree(city.folder)
    copied(copy, city.folder)
    return city


def copied(folder: Path, to: Path) -> Path:
    """With owners and modes."""
    subprocess.run(["cp", "-a", folder, to], check=True)
    return to


def run(city: City, command: str, *options: str) -> Result:
    """`titik broker COMMAND` on the city's directory."""
    return CliRunner().invoke(titik, ["broker", command, str(city.folder / "broker"), *options])


def warnings(city: City) -> list[str]:
    """What is not in order with its keys and certificates; a key kept elsewhere is.

    Another authority that takes the place of the city's has none after it.
    """
    lines = [one for one in run(city, "check").output.splitlines() if "next authority" not in one]
    return [one for one in lines if one.startswith("warning: ") and "without" not in one]


def files(city: City) -> dict[str, bytes]:
    """Everything in the directory."""
    folder = city.folder / "broker"
    return {str(one): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def obey(city: City, output: str) -> None:
    """Do what the message says."""
    if "tar -xzf" not in output:
        assert f"titik broker renew {city.folder / 'broker'}" in output
        assert 0 == run(city, "renew").exit_code
        return
    command = output[output.index("tar -xzf") :].partition(",")[0]
    words = command.replace("BACKUP", str(city.folder / "city.tar.gz")).split()
    subprocess.run(words, check=True)
    assert f"then titik broker init {city.folder / 'broker'}" in output
    assert 0 == (done := run(city, "init")).exit_code, done.output


def half(was: bytes) -> bytes:
    """As a disk that was full leaves it."""
    return was[: len(was) // 2]


def garbled(was: bytes) -> bytes:
    """No text even."""
    return b"\xff\0" + was[2:]


def emptied(_: bytes) -> bytes:
    """As a power cut leaves it."""
    return b""


def replace_authority(city: City) -> None:
    """What an init did that found no key: another authority, which knows nobody."""
    folder = city.folder / "broker"
    kept = city.folder / "kept"
    for name in ("ca", "tls"):
        shutil.copytree(folder / name, kept / name)
        shutil.rmtree(folder / name)
    city.broker.authority.make("other")
    city.broker.authority.write_crl()
    for name in ("tls/server.crt", "tls/server.key"):
        shutil.copy(kept / name, folder / name)
    shutil.copytree(kept / "ca/issued", folder / "ca/issued", dirs_exist_ok=True)


@pytest.mark.parametrize("name", ["ca/ca.key", "ca/revoked", "tls/ca.crt"])
@pytest.mark.parametrize("options", few(1, [(), ("--force",), ("--host", "other.example.org")]))
def test_a_lost_authority_is_not_made_again(
    enrolled: City, name: str, options: tuple[str, ...]
) -> None:
    """Nothing is changed; the file, the remedy and who is cut off without it are named."""
    lost = enrolled.folder / "broker" / name
    lost.unlink()
    before = files(enrolled)
    done = run(enrolled, "init", *options)
    assert (1, before) == (done.exit_code, files(enrolled))
    assert f"Error: {lost}: is missing; bring back" in done.output
    way_on = "titik broker authority switch" if name == "ca/ca.key" else CUTS_OFF
    assert way_on in done.output
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


@pytest.mark.parametrize("left", ["tls/ca.crt", "tls/server.crt", "ca/issued"])
def test_one_certificate_is_enough_to_know_that_there_was_an_authority(
    enrolled: City, left: str
) -> None:
    """Whoever holds it, or trusts it, would be cut off."""
    folder = enrolled.folder / "broker"
    (folder / left).rename(folder / "left")
    for name in ("ca", "tls"):
        shutil.rmtree(folder / name)
    (folder / left).parent.mkdir()
    (folder / "left").rename(folder / left)
    assert f"{folder / 'ca/ca.key'}: is missing" in (done := run(enrolled, "init")).output
    assert 1 == done.exit_code


@pytest.mark.thorough
def test_an_init_that_was_cut_short_is_finished_by_the_next(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever that was: nobody trusts what was not whole."""
    folder = city.folder / "broker"
    for last in ("ca.key", "ca.crt", "server.key", "server.crt", "crl.pem"):
        for name in ("ca", "tls"):
            shutil.rmtree(folder / name)
        with monkeypatch.context() as patch:
            patch.setattr("titik_collector.enrolment.authority.replace_file", failing_after(last))
            assert 1 == run(city, "init").exit_code
        assert 0 == (done := run(city, "init")).exit_code, done.output
        assert [] == warnings(city)


def failing_after(last: str) -> Callable[[Path, str, Owner], None]:
    """`replace_file` up to a file's name; then the power fails."""

    def write(file: Path, text: str, owner: Owner) -> None:
        replace_file(file, text, owner)
        if file.name == last:
            raise OSError("no power")

    return write


@pytest.mark.parametrize("name", LOST[1:])
def test_a_check_says_what_is_missing(enrolled: City, name: str) -> None:
    """And how it comes back; `status` does too."""
    lost = enrolled.folder / "broker" / name
    lost.unlink()
    done = run(enrolled, "check")
    assert (1, True) == (done.exit_code, f"{lost}: is missing; " in done.output)
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


@pytest.mark.parametrize("damage", few(1, [half, garbled, emptied]))
@pytest.mark.parametrize("name", [*LOST, "ca/issued"])
def test_a_check_says_what_is_damaged(
    enrolled: City, name: str, damage: Callable[[bytes], bytes]
) -> None:
    """Cut, written over or emptied; and how it comes back."""
    hurt = enrolled.folder / "broker" / name
    if hurt.is_dir():
        (hurt,) = hurt.iterdir()
    was = b"12 2026-11-26T00:00:00\n" if name == "ca/revoked" else hurt.read_bytes()
    hurt.write_bytes(damage(was))
    done = run(enrolled, "check")
    if name == "ca/revoked" and not hurt.read_bytes():  # as it is while no router is revoked
        assert [] == warnings(enrolled)
        return
    assert (1, True) == (done.exit_code, f"{hurt}: is damaged; " in done.output), done.output
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


@pytest.mark.thorough
# A serial number can become negative, and the library warns of it; it is reported as another's.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("command", ["check", "renew"])
@pytest.mark.parametrize("name", [*LOST, "ca/issued"])
def test_a_flipped_bit_is_reported_or_does_no_harm(enrolled: City, name: str, command: str) -> None:
    """Whichever it is, nothing ends in a traceback."""
    enrolled.says("router", "add", "tirosa-2", "--site", "taman-tirosa")
    enrolled.says("router", "revoke", "tirosa-1")
    hurt, whole = enrolled.folder / "broker" / name, files(enrolled)
    hurt = next(hurt.iterdir()) if hurt.is_dir() else hurt
    rand = random.Random(4)
    for _ in range(FLIPS):
        content = bytearray(whole[str(hurt)])
        content[rand.randrange(len(content))] ^= 1 << rand.randrange(8)
        hurt.write_bytes(content)
        done = run(enrolled, command)
        assert isinstance(done.exception, SystemExit | None), (bytes(content), done.exception)
        assert done.exit_code in (0, 1)
        for file, was in whole.items():
            Path(file).write_bytes(was)


def test_a_certificate_that_is_none_of_ours_is_damaged(enrolled: City) -> None:
    """We make one kind alone; of another no command knows what to ask."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    when = dt.datetime(2020, 1, 1), dt.datetime(2060, 1, 1)
    theirs = x509.CertificateBuilder(name, name, key.public_key(), 1, *when)
    file = enrolled.folder / "broker/tls/server.crt"
    file.write_bytes(theirs.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    done = run(enrolled, "check")
    assert (1, True) == (done.exit_code, f"{file}: is damaged; make it" in done.output)
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


def test_a_damaged_authority_is_reported_by_its_own_signature(enrolled: City) -> None:
    """No other file shows it while nobody but the routers, who have a copy, look at it."""
    file = enrolled.folder / "broker/tls/ca.crt"
    file.write_bytes(unsigned(file.read_bytes()))
    done = run(enrolled, "check")
    assert (1, True) == (done.exit_code, f"{file}: is damaged; bring back" in done.output)
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


def unsigned(pem: bytes) -> bytes:
    """The last bit of the signature is another; it parses all the same."""
    der = bytearray(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_certificate(bytes(der)).public_bytes(Encoding.PEM)


def test_a_server_certificate_that_is_damaged_is_made_again(enrolled: City) -> None:
    """The authority is the routers' own, so a backup would change nothing."""
    file = enrolled.folder / "broker/tls/server.crt"
    file.write_bytes(unsigned(file.read_bytes()))
    done = run(enrolled, "check")
    assert (1, True) == (done.exit_code, f"{file}: is not signed by" in done.output)
    assert "tar -xzf" not in done.output
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


def test_a_key_of_another_certificate_is_reported(enrolled: City) -> None:
    """mosquitto would not start with it."""
    folder = enrolled.folder / "broker/tls"
    key = (folder / "server.key").read_bytes()
    assert 0 == run(enrolled, "init", "--host", "127.0.0.1").exit_code
    (folder / "server.key").write_bytes(key)
    done = run(enrolled, "check")
    assert 1 == done.exit_code
    assert f"{folder / 'server.key'}: is not the key of server.crt; make it: " in done.output
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


def test_a_key_that_is_kept_elsewhere_is_no_error(enrolled: City) -> None:
    """A check says what cannot be done without it."""
    key = enrolled.folder / "broker/ca/ca.key"
    key.unlink()
    expected = (
        f"warning: without {key} no router can be added or revoked; bring it here for that,"
        " or if it is lost: titik broker authority switch"
    )
    assert expected in run(enrolled, "check").output
    assert [] == warnings(enrolled)


def test_a_check_distinguishes_another_authority_from_the_citys(enrolled: City) -> None:
    """It signed neither the broker nor a router, so all of them are refused."""
    replace_authority(enrolled)
    done = run(enrolled, "check")
    assert 1 == done.exit_code
    assert "tls/server.crt: is not signed by" in done.output
    assert "certificates of 1 routers, such as tirosa-1, are of another auth" in done.output
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


def test_a_router_that_got_another_certificate_is_not_reported(enrolled: City) -> None:
    """Only what it logs in with counts."""
    replace_authority(enrolled)
    assert 0 == run(enrolled, "init", "--host", "127.0.0.1").exit_code
    assert "tirosa-1" in run(enrolled, "check").output
    enrolled.says("router", "rotate", "tirosa-1")
    assert [] == warnings(enrolled)


def test_the_key_of_another_authority_signs_nothing(enrolled: City) -> None:
    """A router would get a certificate that the broker refuses."""
    folder = enrolled.folder / "broker"
    crt = (folder / "tls/ca.crt").read_bytes()
    replace_authority(enrolled)
    (folder / "tls/ca.crt").write_bytes(crt)
    output = f"{folder / 'ca/ca.key'}: is not the key of {folder / 'tls/ca.crt'}; bring back"
    assert output in enrolled.says("router", "rotate", "tirosa-1", status=1)
    assert output in run(enrolled, "init").output
    assert (1, True) == ((done := run(enrolled, "check")).exit_code, output in done.output)


@pytest.mark.parametrize("name", few(1, ["ca/ca.key", "ca/revoked", "tls/ca.crt"]))
@pytest.mark.parametrize(
    "words",
    [
        ("add", "tirosa-2", "--site", "taman-tirosa"),
        ("remove", "tirosa-1"),
        ("revoke", "tirosa-1"),
        ("rotate", "tirosa-1"),
    ],
)
def test_what_cannot_be_signed_is_not_begun(
    enrolled: City, name: str, words: tuple[str, ...]
) -> None:
    """Neither registered, nor removed, nor written down as revoked; the remedy is named."""
    lost = enrolled.folder / "broker" / name
    lost.unlink()
    file = enrolled.folder / "titik.toml"
    before = files(enrolled), file.read_text()
    output = enrolled.says("router", *words, status=1)
    assert f"{lost}: is missing; bring back" in output
    assert before == (files(enrolled), file.read_text())
    obey(enrolled, output)
    enrolled.says("router", *words)


def test_what_was_revoked_is_in_the_list(enrolled: City) -> None:
    """Also if the first try found no key."""
    key = enrolled.folder / "broker/ca/ca.key"
    kept = key.rename(enrolled.folder / "ca.key")
    enrolled.says("router", "revoke", "tirosa-1", status=1)
    kept.rename(key)
    enrolled.says("router", "revoke", "tirosa-1")
    pem = (enrolled.folder / "broker/tls/crl.pem").read_bytes()
    assert 1 == len(list(x509.load_pem_x509_crl(pem)))


def cut(was: bytes) -> bytes:
    """At the end of a line, which the file alone does not show."""
    return was[: was.index(b"\n") + 1]


def flipped(was: bytes) -> bytes:
    """A digit of a serial number, which is a serial number still."""
    return b"0" + was[1:]


def listed(city: City) -> set[int]:
    """The serial numbers in mosquitto's revocation list."""
    pem = (city.folder / "broker/tls/crl.pem").read_bytes()
    return {one.serial_number for one in x509.load_pem_x509_crl(pem)}


@pytest.mark.parametrize("damage", [emptied, cut, flipped])
def test_a_damaged_list_of_revoked_lets_nobody_in_again(
    enrolled: City, damage: Callable[[bytes], bytes]
) -> None:
    """Of two copies the other has it; a check shows it, and a renewal gives it back."""
    enrolled.says("router", "add", "tirosa-2", "--site", "taman-tirosa")
    for name in ("tirosa-1", "tirosa-2"):
        enrolled.says("router", "revoke", name)
    file = enrolled.folder / "broker/ca/revoked"
    whole, revoked = set(file.read_text().splitlines()), listed(enrolled)
    file.write_bytes(damage(file.read_bytes()))
    assert all(one.revoked for one in enrolled.broker.authority.issued())
    done = run(enrolled, "check")
    assert 1 == done.exit_code
    assert f"{file} and " in done.output
    assert "do not list the same certificates" in done.output
    obey(enrolled, done.output)
    assert revoked <= listed(enrolled)
    assert whole <= set(file.read_text().splitlines())
    assert [] == warnings(enrolled)


def damaged(city: City, router: str, damage: Callable[[bytes], bytes]) -> Path:
    """The file of a router's certificate, and what happened to it."""
    (one,) = [one for one in city.broker.authority.issued() if one.router == router]
    file = city.folder / "broker/ca/issued" / f"{one.serial:x}.crt"
    file.write_bytes(damage(file.read_bytes()))
    return file


@pytest.mark.parametrize("command", ["revoke", "remove"])
def test_a_damaged_certificate_keeps_no_other_router_in(enrolled: City, command: str) -> None:
    """Revoking one is urgent; that the other is damaged is reported beside it."""
    enrolled.says("router", "add", "tirosa-2", "--site", "taman-tirosa")
    file = damaged(enrolled, "tirosa-1", half)
    output = enrolled.says("router", command, "tirosa-2")
    assert f"warning: it may be of tirosa-2: {file}: is damaged; bring back" in output
    assert 1 == len(listed(enrolled))
    assert 0 == run(enrolled, "renew").exit_code


def test_a_damaged_certificate_is_revoked_by_its_name(enrolled: City) -> None:
    """Of its router nothing is known any more; so it says, where there is no backup."""
    file = damaged(enrolled, "tirosa-1", emptied)
    output = enrolled.says("router", "revoke", "tirosa-1", status=1)
    echo, remove, _ = output.partition("revoke it: ")[2].split("; ", 2)
    subprocess.run(["sh", "-ec", f"{echo}; {remove}"], check=True)
    assert 0 == run(enrolled, "renew").exit_code
    assert {int(file.stem, 16)} == listed(enrolled)
    enrolled.says("router", "rotate", "tirosa-1")
    assert [] == warnings(enrolled)


def test_a_certificate_under_another_number_is_damaged(enrolled: City) -> None:
    """The number that was issued is the file's name; another would keep nobody out."""
    enrolled.says("router", "add", "tirosa-2", "--site", "taman-tirosa")
    one, other = (enrolled.folder / "broker/ca/issued").iterdir()
    one.write_bytes(other.read_bytes())
    assert f"{one}: is of another serial number; bring back" in run(enrolled, "check").output


def test_a_new_name_changes_nothing_where_a_certificate_is_damaged(enrolled: City) -> None:
    """Who is cut off must be reported."""
    file = damaged(enrolled, "tirosa-1", half)
    before = files(enrolled)
    done = run(enrolled, "init", "--host", "other.example.org")
    assert (1, True) == (done.exit_code, f"{file}: is damaged; " in done.output)
    assert before == files(enrolled)


def test_a_revocation_list_of_another_is_reported(enrolled: City) -> None:
    """mosquitto lets nobody in with it."""
    folder = enrolled.folder / "broker"
    replace_authority(enrolled)
    theirs = (folder / "tls/crl.pem").read_bytes()
    shutil.rmtree(folder / "ca")
    shutil.rmtree(folder / "tls")
    shutil.copytree(enrolled.folder / "kept", folder, dirs_exist_ok=True)
    (folder / "tls/crl.pem").write_bytes(theirs)
    done = run(enrolled, "check")
    assert (1, True) == (done.exit_code, "tls/crl.pem: is not signed by" in done.output)
    obey(enrolled, done.output)
    assert [] == warnings(enrolled)


def test_a_city_that_was_backed_up_without_its_key_is_restored_but_for_it(
    enrolled: City, tmp_path: Path
) -> None:
    """No other authority takes its place; an init with the key finishes it."""
    key = enrolled.folder / "broker/ca/ca.key"
    kept = key.rename(enrolled.folder / "ca.key")
    output = enrolled.says("backup", str(tmp_path / "without.tar.gz"))
    assert f"warning: left out: {key}, because it is not there; keep that safe too" in output
    there = City(tmp_path / "there")
    output = there.says("restore", str(tmp_path / "without.tar.gz"), status=1)
    assert f"{there.folder / 'broker/ca/ca.key'}: is missing; " in output
    shutil.copy(kept, there.folder / "broker/ca/ca.key")
    assert 0 == run(there, "init").exit_code
    assert [] == warnings(there)
    there.says("router", "rotate", "tirosa-1")


def test_damaged_settings_come_back_as_the_remedy_reads(enrolled: City) -> None:
    """An init, which was named before, failed with the same words."""
    file = enrolled.folder / "broker/broker.toml"
    before = file.read_text()
    file.write_text("account = 1\n")
    done = run(enrolled, "check")
    assert 1 == done.exit_code
    assert CUTS_OFF in done.output
    obey(enrolled, done.output)
    assert before == file.read_text()
