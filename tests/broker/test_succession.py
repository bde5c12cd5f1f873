"""The next authority is made in advance, comes in force, and the one before is forgotten."""

import shutil
import ssl
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.broker import enrolled
from tests.broker.enrolled import City, Router
from tests.broker.running import RunningBroker
from titik_collector.cli import titik
from titik_collector.enrolment import handover
from titik_collector.enrolment.authority import Authority, AuthorityError
from titik_collector.enrolment.handover import RouterLogin
from titik_collector.enrolment.signing import fingerprint, public_key
from titik_collector.enrolment.signing import lists as x509_lists
from titik_collector.enrolment.succession import Progress, Succession
from titik_collector.files.replace import Owner
from titik_collector.store import wishes
from titik_collector.store.sqlite import open_writer
from titik_wire.fleet_messages import Running, Trust

OURS = Owner(-1, -1, 0o600)
STEPS = range(12)  # more than a switch writes files before it is done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of an old city: an authority, a broker's certificate, and no next one."""
    (tmp_path / "broker").mkdir()
    made = Authority(tmp_path / "broker", OURS)
    made.make("Titik city CA of localhost")
    made.certify_server("localhost")
    made.write_crl()
    return tmp_path / "broker"


def succession(folder: Path) -> Succession:
    return Succession(folder, Authority(folder, OURS), OURS)


def prints(folder: Path) -> list[str]:
    """Of what every router is to trust."""
    found = handover.read(folder)
    assert found is not None
    return list(found.prints)


def test_a_new_city_trusts_its_next_authority_in_advance(city: City) -> None:
    """It is in each router's file, and `check` finds nothing amiss."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    keys = city.enrol("tirosa-1", city.folder / "root")
    assert (keys / "ca.crt").read_text().count("BEGIN CERTIFICATE") == 2
    assert city.broker.authority.warnings() == []
    assert city.broker.succession.standing({}) == Progress((), (), ())


def test_an_old_city_is_warned_that_it_has_none(folder: Path) -> None:
    """With the command that makes it, which makes it once."""
    (line,) = Authority(folder, OURS).warnings()
    assert line.endswith(": titik broker authority next")
    assert succession(folder).make_next("localhost")
    assert not succession(folder).make_next("localhost")
    assert Authority(folder, OURS).warnings() == []


def test_who_was_enrolled_before_lacks_the_next_one(folder: Path) -> None:
    """Until it reports that it trusts it."""
    Authority(folder, OURS).certify_router("tirosa-1")
    succession(folder).make_next("localhost")
    Authority(folder, OURS).certify_router("tirosa-2")
    succession(folder).hand_over()
    assert succession(folder).standing({}) == Progress(("tirosa-1",), (), ("tirosa-1",))
    has_it = RouterLogin(None, frozenset(prints(folder)))
    assert succession(folder).standing({"tirosa-1": has_it}) == Progress((), (), ())


def lose(folder: Path) -> None:
    """Nobody has the authority's key."""
    (folder / "ca/ca.key").unlink()


def mistake(folder: Path) -> None:
    """In its place is another authority's."""
    enrolled.foreign_authority(folder.parent / "other")
    shutil.copy(folder.parent / "other/ca/ca.key", folder / "ca/ca.key")


def keep(_: Path) -> None:
    """It stays where it is."""


@pytest.mark.parametrize("becomes", [keep, lose, mistake])
def test_the_next_one_comes_in_force_even_without_the_key_before(
    folder: Path, becomes: Callable[[Path], None]
) -> None:
    """Routers' keys are signed again; the broker trusts both, and has a list of each."""
    succession(folder).make_next("localhost")
    Authority(folder, OURS).certify_router("tirosa-1")
    key = folder.parent / "kept.key"
    shutil.move(folder / "ca/next.key", key)
    becomes(folder)
    lost = becomes is not keep
    assert succession(folder).switch("localhost", key) == 1
    authority = Authority(folder, OURS)
    present, before = authority.trusted()
    lists = x509_lists((folder / "tls/crl.pem").read_bytes())
    signers = [public_key(present), public_key(before)]
    assert [one.is_signature_valid(by) for one, by in zip(lists, signers, strict=True)] == [
        True,
        True,
    ]
    assert authority.warnings() == []
    found = handover.read(folder)
    assert found is not None
    assert found.prints[:2] == (fingerprint(present), fingerprint(before))
    assert len(found.prints) == 3
    assert [one.by for one in found.vouchers] == list(found.prints[: 1 if lost else 2])
    assert succession(folder).standing({}) == Progress(("tirosa-1",), ("tirosa-1",), ("tirosa-1",))
    its = RouterLogin(found.handouts["tirosa-1"].its_print, frozenset(found.prints))
    assert succession(folder).standing({"tirosa-1": its}) == Progress((), (), ())


def test_a_lost_key_is_no_end_where_there_is_a_next_one(folder: Path) -> None:
    """What cannot be done names the way on."""
    succession(folder).make_next("localhost")
    (folder / "ca/ca.key").unlink()
    with pytest.raises(AuthorityError, match="titik broker authority switch"):
        Authority(folder, OURS).check()


@pytest.mark.parametrize("again", [(), ("--again",)])
@pytest.mark.parametrize(("becomes", "why"), [(lose, "is missing"), (mistake, "is not the key of")])
def test_no_next_one_is_made_for_which_nobody_can_vouch(
    city: City, becomes: Callable[[Path], None], why: str, again: tuple[str, ...]
) -> None:
    """No router would take it, and the one that they trust would be gone."""
    folder = city.broker.path
    becomes(folder)
    before = {one: one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    refused = city.says("broker", "authority", "next", *again, status=1)
    assert f"{folder / 'ca/ca.key'}: {why}" in refused
    assert "bring the key here" in refused
    assert "titik broker authority switch --next-key FILE" in refused
    assert "--again" not in refused
    assert before == {one: one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_without_a_key_the_first_next_one_cannot_be_made_either(folder: Path) -> None:
    """There is none to go on with, so a backup is what helps."""
    lose(folder)
    with pytest.raises(AuthorityError, match="is missing; bring back from a backup"):
        succession(folder).make_next("localhost")
    assert not (folder / "tls/next.crt").exists()


@pytest.fixture
def old_city(city: City, monkeypatch: pytest.MonkeyPatch) -> City:
    """It got its next authority after its router, which never reported; typed in its folder."""
    for name in ("tls/next.crt", "ca/next.key"):
        (city.broker.path / name).unlink()
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    city.says("broker", "authority", "next")
    monkeypatch.chdir(city.folder)
    return city


def checked(city: City) -> str:
    """What `titik broker check` prints."""
    return CliRunner().invoke(titik, ["broker", "check", str(city.broker.path)]).output


def test_who_does_not_know_the_next_one_takes_it_while_the_key_before_vouches(
    old_city: City,
) -> None:
    """A switch says when, and that is all there is to do."""
    printed = old_city.says("broker", "authority", "switch")
    assert "they do not know it yet, and take it when they are online: tirosa-1\n" in printed
    assert "visit" not in printed + checked(old_city)
    assert "1 router has not taken yet" in old_city.says("broker", "authority")


def test_a_switch_that_leaves_routers_behind_is_refused(old_city: City) -> None:
    """Without ca.key it names them and changes nothing; with --force it goes on."""
    folder = old_city.broker.path
    lose(folder)
    before = {one: one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    refused = old_city.says("broker", "authority", "switch", status=1)
    assert "without ca.key nobody can vouch for it: tirosa-1; bring ca.key here" in refused
    assert "--force" in refused
    assert before == {one: one.read_bytes() for one in folder.rglob("*") if one.is_file()}
    beyond = "warning: 1 router cannot take what it is sent: tirosa-1; it needs a visit: titik rout"
    assert beyond in old_city.says("broker", "authority", "switch", "--force")
    for command in ((), ("forget", "--force"), ()):
        printed = old_city.says("broker", "authority", *command)
        assert "taken yet" not in printed
        assert (beyond in printed) == (not command)
        assert beyond in checked(old_city)
    old_city.says("router", "rotate", "tirosa-1")  # and the visit
    assert "every router has all of it" in old_city.says("broker", "authority")
    assert beyond not in checked(old_city)


@pytest.mark.parametrize(
    ("name", "why"),
    [("titik.toml", "type it beside the city's titik.toml\n"), ("titik.db", "titik.db: ")],
)
def test_a_check_that_cannot_know_who_needs_a_visit_says_so(
    old_city: City, name: str, why: str
) -> None:
    """What routers reported is in the city's store, which its file names."""
    unknown = "\nwhich routers need a visit is not known here: "
    assert unknown not in checked(old_city)
    file = old_city.folder / name
    if name == "titik.toml":
        file.unlink()
    else:
        file.write_text("spoiled" * 999)
    assert unknown + why in checked(old_city)


def test_who_was_away_until_its_authority_was_forgotten_is_beyond_reach(folder: Path) -> None:
    """It trusts the one in force, which does not let its certificate in."""
    succession(folder).make_next("localhost")
    Authority(folder, OURS).certify_router("tirosa-1")
    succession(folder).switch("localhost")
    assert succession(folder).standing({}).beyond_reach == ()
    succession(folder).forget("localhost")
    assert succession(folder).standing({}).waited_for == ()
    assert succession(folder).standing({}).beyond_reach == ("tirosa-1",)
    found = handover.read(folder)
    assert found is not None
    (one,) = Authority(folder, OURS).issued()
    used = fingerprint(Authority(folder, OURS).certificate_of(one))
    its = RouterLogin(used, frozenset(found.prints[:1]))
    assert succession(folder).standing({"tirosa-1": its}).waited_for == ("tirosa-1",)


def reported(city: City, kept: bool | None) -> None:
    """Its router uses all that it was sent; None: where it is kept is not known."""
    found = handover.read(city.broker.path)
    assert found is not None
    trust = Trust(found.prints, found.handouts["tirosa-1"].its_print, kept=kept)
    with closing(open_writer(city.folder / "titik.db")) as db:
        wishes.hear(db, 1, Running("tirosa-1", "a" * 16, "0.1.0", trust=trust), 1)


def test_who_keeps_it_in_memory_only_learns_what_keeps_it(stored: City) -> None:
    """It uses all that it was sent; waiting would never help, and a power cut ends it."""
    stored.says("broker", "authority", "switch")
    for kept in (False, None):
        reported(stored, kept)
        printed = stored.says("broker", "authority")
        line = "1 router keeps in memory only what it was sent, so a power cut brings back what was"
        help_ = "tirosa-1; set persist_dir under [spool] of agent.toml there, or visit it then"
        assert [line in printed, help_ in printed] == [kept is False] * 2
        assert "taken yet" not in printed
        assert "log" not in printed
        if kept is False:
            refused = stored.says("broker", "authority", "forget", status=1)
            assert f"Error: {line}" in refused
            assert help_ in refused
            assert "or cut them off: --force" in refused
            assert "wait" not in refused
    stored.says("broker", "authority", "forget")


@pytest.mark.parametrize("becomes", [keep, lose])
def test_who_could_not_take_it_again_is_to_be_left_alone(
    folder: Path, becomes: Callable[[Path], None]
) -> None:
    """For what was installed nobody vouches where the key is lost, until it is forgotten."""
    Authority(folder, OURS).certify_router("tirosa-1")
    succession(folder).make_next("localhost")
    succession(folder).hand_over()
    becomes(folder)
    succession(folder).switch("localhost")
    for is_over in (becomes is lose, True):
        found = handover.read(folder)
        assert found is not None
        used = found.handouts["tirosa-1"].its_print
        its = {"tirosa-1": RouterLogin(used, frozenset(found.prints), is_kept=False)}
        names = ("tirosa-1",)
        assert succession(folder).standing(its) == Progress(
            (), (), (), () if is_over else names, names if is_over else ()
        )
        if len(Authority(folder, OURS).trusted()) > 1:
            succession(folder).forget("localhost")


def test_no_remedy_ends_what_a_router_has_in_memory_only(stored: City) -> None:
    """Once the one before is forgotten, what was installed is not let in."""
    stored.says("broker", "authority", "switch")
    reported(stored, kept=False)
    assert "cut off by their next power cut" in stored.says(
        "broker", "authority", "forget", "--force"
    )
    reported(stored, kept=False)
    printed = stored.says("broker", "authority")
    assert "and what was installed cannot take it again: tirosa-1; leave agent and agent" in printed
    assert "until a visit (titik router rotate NAME)\n" in printed
    assert "persist_dir" not in printed


def test_the_next_key_must_be_the_one(folder: Path) -> None:
    """Another's is refused before anything is changed."""
    succession(folder).make_next("localhost")
    other = enrolled.foreign_authority(folder.parent / "other")
    assert other.can_sign
    with pytest.raises(AuthorityError, match="is not the key of"):
        succession(folder).switch("localhost", folder.parent / "other/ca/ca.key")
    (folder / "ca/next.key").unlink()
    with pytest.raises(AuthorityError, match="--next-key FILE"):
        succession(folder).switch("localhost")
    assert len(Authority(folder, OURS).trusted()) == 1


def test_a_second_switch_waits_until_the_one_before_is_forgotten(folder: Path) -> None:
    """Routers trust three authorities at most."""
    succession(folder).make_next("localhost")
    succession(folder).switch("localhost")
    with pytest.raises(AuthorityError, match="first: titik broker authority forget"):
        succession(folder).switch("localhost")
    succession(folder).forget("localhost")
    with pytest.raises(AuthorityError, match="no authority before"):
        succession(folder).forget("localhost")
    succession(folder).switch("localhost")
    assert Authority(folder, OURS).warnings() == []


class PowerCut(Exception):
    """At one of the files that a command writes."""


def is_cut(command: Callable[[], object], step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the power went before the command was done: after so many files."""
    replace, left = Path.replace, [step]

    def cut(file: Path, there: Path) -> Path:
        if not left[0]:
            raise PowerCut
        left[0] -= 1
        return replace(file, there)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", cut)
        try:
            command()
        except PowerCut:
            return True
    return False


@pytest.mark.parametrize("step", STEPS)
def test_a_switch_that_was_cut_short_is_finished_by_the_same_command(
    folder: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the power went: afterwards all belongs together."""
    succession(folder).make_next("localhost")
    for name in ("tirosa-1", "tirosa-2"):
        Authority(folder, OURS).certify_router(name)
    if is_cut(lambda: succession(folder).switch("localhost"), step, monkeypatch):
        assert "server.crt: is not signed by" not in " ".join(Authority(folder, OURS).misfits())
        succession(folder).switch("localhost")
    authority = Authority(folder, OURS)
    assert authority.warnings() == []
    assert len(authority.trusted()) == 2
    found = handover.read(folder)
    assert found is not None
    assert sorted(found.handouts) == ["tirosa-1", "tirosa-2"]
    assert len(found.prints) == 3


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("step", range(7))
def test_what_was_forgotten_in_part_is_forgotten_by_the_same_command(
    folder: Path, step: int, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the key before was lost: routers are to trust those that count alone."""
    succession(folder).make_next("localhost")
    Authority(folder, OURS).certify_router("tirosa-1")
    if lost:
        (folder / "ca/ca.key").unlink()
    succession(folder).switch("localhost")
    if is_cut(lambda: succession(folder).forget("localhost"), step, monkeypatch):
        succession(folder).forget("localhost")
    authority = Authority(folder, OURS)
    assert authority.warnings() == []
    assert prints(folder) == list(authority.given())
    assert len(authority.issued()) == 1
    with pytest.raises(AuthorityError, match="no authority before"):
        succession(folder).forget("localhost")


@pytest.mark.parametrize("becomes", [lose, mistake])
def test_no_list_is_signed_by_the_key_that_a_forget_left(
    folder: Path, becomes: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of another authority than the one before: who logs in by that would be kept out."""
    succession(folder).make_next("localhost")
    succession(folder).switch("localhost")
    unlink = Path.unlink

    def cut(file: Path, missing_ok: bool = False) -> None:
        if file.name == "old.key":
            raise PowerCut
        unlink(file, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", cut)
        with pytest.raises(PowerCut):
            succession(folder).forget("localhost")
    becomes(folder)
    succession(folder).switch("localhost")
    lists = x509_lists((folder / "tls/crl.pem").read_bytes())
    signers = map(public_key, Authority(folder, OURS).trusted())
    assert [one.is_signature_valid(by) for one, by in zip(lists, signers, strict=True)] == [
        True,
        True,
    ]
    found = handover.read(folder)
    assert found is not None
    assert [one.by for one in found.vouchers] == [found.prints[0]]


def test_a_key_that_a_switch_had_copied_still_vouches(folder: Path) -> None:
    """It was cut short before the next one came in force; then the city's was lost."""
    succession(folder).make_next("localhost")
    shutil.copy(folder / "ca/ca.key", folder / "ca/old.key")
    lose(folder)
    succession(folder).switch("localhost")
    found = handover.read(folder)
    assert found is not None
    assert [one.by for one in found.vouchers] == list(found.prints[:2])


def test_a_key_signed_again_keeps_both_certificates_when_the_old_key_is_revoked(
    folder: Path,
) -> None:
    """The router may still log in by the one that it has."""
    authority = Authority(folder, OURS)
    authority.certify_router("tirosa-1")
    authority.certify_router("tirosa-1")  # a new key
    succession(folder).renew(["tirosa-1"])
    assert authority.revoke("tirosa-1", but_newest=True) == 1
    assert [one.revoked for one in authority.issued()] == [True, False, False]


@pytest.mark.parametrize("lost", [False, True])
def test_what_no_list_can_have_is_reported_when_it_is_revoked(
    folder: Path, lost: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the key before is lost, its list stays as it was."""
    succession(folder).make_next("localhost")
    Authority(folder, OURS).certify_router("tirosa-1")
    if lost:
        (folder / "ca/ca.key").unlink()
    succession(folder).switch("localhost")
    authority = Authority(folder, OURS)
    authority.certify_router("tirosa-1")  # a new key
    assert authority.revoke("tirosa-1", but_newest=True) == 2
    printed = capsys.readouterr().err
    assert ("until: titik broker authority forget" in printed) == lost


@pytest.mark.system
def test_mosquitto_lets_both_in_and_then_the_new_one_alone(city: City) -> None:
    """Without a start: it reads authorities and lists again."""
    city.says("router", "add", "tirosa-1", "--site", "taman-tirosa")
    keys = city.enrol("tirosa-1", city.folder / "root")
    before = city.folder / "before"
    shutil.copytree(keys, before)
    with RunningBroker(city.broker):
        assert "1 certificate goes to its router now" in city.says("broker", "authority", "switch")
        found = handover.read(city.broker.path)
        assert found is not None
        der = found.handouts["tirosa-1"].certificate
        assert der is not None
        authorities = (keys / "ca.crt").read_text()
        (keys / "router.crt").write_text(pem(der))
        (keys / "ca.crt").write_text("".join(map(pem, found.authorities)))
        for folder in (before, keys):
            router = Router(folder, city.broker.ports.router)
            assert router.is_in()
            router.close()
        refused = city.says("broker", "authority", "forget", status=1)
        assert "1 router still logs in by the authority before: tirosa-1" in refused
        city.says("broker", "authority", "forget", "--force")
        assert authorities in (before / "ca.crt").read_text()
        moved, left = (Router(one, city.broker.ports.router) for one in (keys, before))
        assert (moved.is_in(), left.is_in()) == (True, False)
        moved.close()
        left.close()


def pem(der: str) -> str:
    """Of base64."""
    import base64

    return ssl.DER_cert_to_PEM_cert(base64.b64decode(der))
