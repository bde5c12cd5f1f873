"""Certificates and authorities from a distance: what a router takes, refuses, and goes back to."""

import base64
import dataclasses
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from titik_agent.broker_link.credentials import TRIES, Credentials
from titik_agent.wishes.certificates import TRIAL_S, CertificateHandler
from titik_collector.enrolment import handover
from titik_collector.enrolment.authority import Authority
from titik_collector.enrolment.signing import a_private_key, der, witness
from titik_collector.enrolment.succession import Succession
from titik_collector.files.replace import Owner
from titik_mqtt.endpoint import Endpoint, Tls
from titik_mqtt.failures import LinkDown
from titik_wire.fleet_messages import Outcome, RouterCertificate, RouterReply, Running
from titik_wire.witness import witness_name

OURS = Owner(-1, -1, 0o600)
NAME = "tirosa-1"
STEPS = 4  # files that a trial which works puts in place


class Desk:
    """What a handler is given."""

    router = NAME

    def __init__(self) -> None:
        self.now = 0.0
        self.is_online = True

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0

    def newest_seq(self) -> int:
        return 0

    def is_collected(self) -> bool:
        return self.is_online

    def changed(self) -> None:
        pass

    def answer(self, reply: RouterReply) -> None:
        pass

    def wake(self) -> None:
        pass


@dataclasses.dataclass
class Home:
    """A city's folder, and a router that was enrolled before it had a next authority."""

    folder: Path
    keys: Path
    flash: Path

    @property
    def authority(self) -> Authority:
        return Authority(self.folder, OURS)

    @property
    def succession(self) -> Succession:
        return Succession(self.folder, self.authority, OURS)

    def wish(self, revision: int = 1, **other: object) -> RouterCertificate:
        """As the collector publishes it."""
        found = self.succession.hand_over()
        voucher = found.vouchers[-1]
        handout = found.handouts.get(NAME)
        whole = RouterCertificate(
            NAME, revision, None if handout is None else handout.certificate, found.authorities,
            found.edition, voucher.certificate, voucher.key,
        )  # fmt: skip
        return dataclasses.replace(whole, **other)  # type: ignore[arg-type]


class Router:
    """Its credentials and its handler, as of one start of the agent."""

    def __init__(self, home: Home) -> None:
        ca, cert, key = (str(home.keys / one) for one in ("ca.crt", "router.crt", "router.key"))
        tls = Tls(ca, cert, key)
        self.desk = Desk()
        self.credentials = Credentials(
            Endpoint("localhost", 8883, NAME, None, tls), str(home.flash)
        )
        self.handler = CertificateHandler(self.desk, self.credentials, is_kept=True)
        self.connect()

    def connect(self) -> Tls:
        """With what it would connect now."""
        tls = self.credentials.endpoint().tls
        assert tls is not None
        self.handler.connected()
        return tls

    def hears(self, wish: RouterCertificate) -> Outcome:
        """What became of it at once."""
        self.handler.received(wish)
        assert self.handler.outcome is not None
        return self.handler.outcome

    def tries(self) -> None:
        """Begin the trial, which ends the connection."""
        with pytest.raises(LinkDown):
            self.handler.step(self.desk.now)
        self.credentials.failed(LinkDown("because"), was_connected=True)

    def trusts(self) -> tuple[str, ...]:
        """As it reports."""
        running = self.handler.report(Running(NAME, "0" * 16, "1"))
        assert running.trust is not None
        return running.trust.authorities


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """With a next authority that the router does not know yet."""
    folder, keys = tmp_path / "broker", tmp_path / "keys"
    folder.mkdir()
    keys.mkdir()
    authority = Authority(folder, OURS)
    authority.make("Titik city CA of localhost")
    authority.certify_server("localhost")
    authority.write_crl()
    certificate, key = authority.certify_router(NAME)
    (keys / "ca.crt").write_text(authority.ca_pem)
    (keys / "router.crt").write_text(certificate)
    (keys / "router.key").write_text(key)
    made = Home(folder, keys, tmp_path / "flash")
    made.succession.make_next("localhost")
    return made


def test_a_router_takes_the_next_authority_and_then_another_certificate(home: Home) -> None:
    """The first vouches for the second; after the switch the second does, for the third."""
    router = Router(home)
    installed = router.connect()
    assert "trying" == router.hears(home.wish(1)).state
    router.tries()
    assert installed.ca_file != router.connect().ca_file
    router.handler.step(1.0)
    assert "applied" == router.hears(home.wish(2)).state
    (home.folder / "ca/ca.key").unlink()
    home.succession.switch("localhost")
    router.hears(home.wish(3))
    router.tries()
    tls = router.connect()
    assert tls.cert_file != installed.cert_file
    router.handler.step(2.0)
    found = handover.read(home.folder)
    assert found is not None
    assert (set(found.prints), "applied") == (
        set(router.trusts()),
        router.hears(home.wish(3)).state,
    )
    assert tls == Router(home).connect()  # after a start of the agent


def nobody(home: Home) -> RouterCertificate:
    """Authorities without a witness."""
    return home.wish(witness=None, witness_key=None)


def unknown(home: Home) -> RouterCertificate:
    """A witness of an authority that the router does not trust."""
    wish = home.wish()
    other = Authority(home.folder.parent / "other", OURS)
    (home.folder.parent / "other").mkdir()
    other.make("Titik city CA of localhost")
    return vouched(wish, home.folder.parent / "other")


def vouched(wish: RouterCertificate, folder: Path) -> RouterCertificate:
    """With a witness of the authority in a folder."""
    assert wish.edition is not None
    name = witness_name(wish.edition, [base64.b64decode(one) for one in wish.authorities or ()])
    key = a_private_key((folder / "ca/ca.key").read_bytes())
    made, its_key = witness(name, Authority(folder, OURS).trusted()[0], key)
    return dataclasses.replace(
        wish, witness=handover.encoded(made), witness_key=handover.encoded(its_key)
    )


def others(home: Home) -> RouterCertificate:
    """A witness that is the city's, and for other authorities."""
    wish = home.wish()
    (home.folder.parent / "other").mkdir()
    other = Authority(home.folder.parent / "other", OURS)
    other.make("hostile")
    one_more = handover.encoded(der(other.trusted()[0]))
    return dataclasses.replace(wish, authorities=(*(wish.authorities or ()), one_more))


def edition(home: Home) -> RouterCertificate:
    """A witness of another edition."""
    wish = home.wish()
    return dataclasses.replace(wish, edition=(wish.edition or 0) + 1)


def own_certificate(home: Home) -> RouterCertificate:
    """Another router's certificate, which the city signed, as the witness."""
    wish = home.wish()
    certificate, key = home.authority.certify_router("tirosa-2")
    text = base64.b64encode(
        x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)
    )
    body = "".join(key.splitlines()[1:-1])
    return dataclasses.replace(wish, witness=text.decode(), witness_key=body)


def another_key(home: Home) -> RouterCertificate:
    """A certificate for another router's key."""
    certificate, _ = home.authority.certify_router("tirosa-2")
    text = base64.b64encode(
        x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)
    )
    return home.wish(certificate=text.decode(), authorities=None)


def self_signed(home: Home) -> RouterCertificate:
    """For the router's own key, which every handshake shows, and of no authority of the city."""
    (home.folder.parent / "other").mkdir()
    other = Authority(home.folder.parent / "other", OURS)
    other.make("hostile")
    own = x509.load_pem_x509_certificate((home.keys / "router.crt").read_bytes())
    public = own.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    made = other._issue(NAME, public)
    text = base64.b64encode(
        x509.load_pem_x509_certificate(made.encode()).public_bytes(Encoding.DER)
    )
    return home.wish(certificate=text.decode(), authorities=None)


def ended(home: Home) -> RouterCertificate:
    """The city's, for the router's own key, and of years ago."""
    return home.wish(certificate=signed(home, -9, -2), authorities=None)


def signed(home: Home, begin_days: int, end_days: int) -> str:
    """For the router's own key, by the city's authority, from one day to another."""
    own = x509.load_pem_x509_certificate((home.keys / "router.crt").read_bytes())
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(own.issuer)
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(now + timedelta(begin_days))
        .not_valid_after(now + timedelta(end_days))
        .sign(a_private_key((home.folder / "ca/ca.key").read_bytes()), hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(Encoding.DER)).decode()


def garbage(home: Home) -> RouterCertificate:
    """What is no certificate at all."""
    return home.wish(certificate="QUJD")


@pytest.mark.parametrize(
    "hostile",
    [
        nobody,
        unknown,
        others,
        edition,
        own_certificate,
        another_key,
        self_signed,
        ended,
        garbage,
    ],
)
def test_a_hostile_broker_can_add_nothing(
    home: Home, hostile: Callable[[Home], RouterCertificate]
) -> None:
    """It is refused before anything of it is tried, or written."""
    router = Router(home)
    before = router.connect()
    outcome = router.hears(hostile(home))
    assert ("refused", None) == (outcome.state, router.handler._next)
    assert outcome.reason
    assert not home.flash.exists()
    router.handler.step(1.0)
    assert before == router.connect() == Router(home).connect()


def test_a_certificate_of_tomorrow_is_taken(home: Home) -> None:
    """The router's clock may be behind the city's."""
    wish = home.wish(certificate=signed(home, 2, 9), authorities=None)
    assert "trying" == Router(home).hears(wish).state


def test_authorities_of_before_do_not_come_back(home: Home) -> None:
    """However new the revision under which a hostile broker sends them again."""
    router = Router(home)
    old = home.wish(1)
    router.hears(old)
    router.tries()
    router.connect()
    router.handler.step(1.0)
    home.succession.switch("localhost")
    router.hears(home.wish(2))
    router.tries()
    router.connect()
    router.handler.step(2.0)
    again = router.hears(dataclasses.replace(old, revision=99))
    words = "its authorities are older than those in force"
    assert ("refused", words) == (again.state, again.reason)


def test_what_tls_refuses_is_rolled_back_and_not_tried_again(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """Until the revision rises."""
    router = Router(home)
    installed = router.connect()
    wish = home.wish(1)
    router.hears(wish)
    router.tries()
    for _ in range(TRIES):
        assert installed != router.connect()
        router.credentials.failed(LinkDown("refused", "tls", slow=True), was_connected=False)
    assert installed == router.connect()
    outcome = router.hears(wish)
    assert ("rolled-back", "refused") == (outcome.state, outcome.reason)
    assert "rolled-back" == Router(home).hears(wish).state
    assert "trying" == router.hears(dataclasses.replace(wish, revision=2)).state
    assert "certificate rolled back revision=1 reason=refused" in caplog.text


def test_a_network_that_is_away_ends_no_trial(home: Home) -> None:
    """It says nothing of a certificate."""
    router = Router(home)
    router.hears(home.wish())
    router.tries()
    tried = router.connect()
    written = (home.flash / "trust").stat().st_mtime_ns
    for _ in range(2 * TRIES):
        router.credentials.failed(LinkDown("no route", "tcp"), was_connected=False)
        assert tried == router.connect()
    assert written == (home.flash / "trust").stat().st_mtime_ns


def test_without_a_collector_in_time_it_goes_back(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that nobody collects from is not the city's."""
    router = Router(home)
    installed = router.connect()
    router.hears(home.wish())
    router.tries()
    router.connect()
    router.desk.is_online = False
    assert TRIAL_S == router.handler.step(0.0)
    router.desk.now = TRIAL_S
    with pytest.raises(LinkDown):
        router.handler.step(TRIAL_S)
    assert installed == router.connect()
    assert "no collector in 300 s" in caplog.text


def test_nothing_is_tried_while_no_collector_is_there(home: Home) -> None:
    """A weekend without one would roll everything back."""
    router = Router(home)
    router.desk.is_online = False
    router.hears(home.wish())
    assert router.handler.step(0.0) > 0.0
    router.desk.is_online = True
    router.tries()


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_a_power_cut_leaves_one_or_the_other(home: Home, step: int) -> None:
    """SIGKILL before each step on the disk; what is tried after it works in the end."""
    installed, wish = Router(home).connect(), home.wish(1)
    killed = _killed_at(step, lambda: _take(home, wish))
    router = Router(home)
    tls = router.connect()
    assert all(Path(one).exists() for one in tls[:3] if isinstance(one, str))
    if router.hears(wish).state == "trying" and router.credentials.used is None:
        router.tries()
        router.connect()
    router.handler.step(1.0)
    assert "applied" == router.hears(wish).state
    assert installed.ca_file != router.connect().ca_file
    assert killed == (step < STEPS)


def _take(home: Home, wish: RouterCertificate) -> None:
    router = Router(home)
    router.hears(wish)
    router.tries()
    router.connect()
    router.handler.step(1.0)


def _killed_at(step: int, work: Callable[[], None]) -> bool:
    """Whether a process was killed before it put so many files in place."""
    child = os.fork()
    if child == 0:
        replace, left = os.replace, [step]

        def cut(source: str, there: str) -> None:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            replace(source, there)

        os.replace = cut  # type: ignore[assignment]
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize(
    "damage", [b"", b"[", b"[1,2,3,4,5]", b"\xff" * 100, b"[[1],null,0,0,null]"]
)
def test_damaged_files_count_as_none(home: Home, damage: bytes) -> None:
    """What was installed is the last resort."""
    installed = Router(home).connect()
    _take(home, home.wish(1))
    (home.flash / "trust").write_bytes(damage)
    assert installed == Router(home).connect()


def test_a_cut_file_of_authorities_counts_as_none(home: Home) -> None:
    """It is named by what is in it."""
    installed = Router(home).connect()
    _take(home, home.wish(1))
    (file,) = home.flash.glob("trust-*.pem")
    file.write_bytes(file.read_bytes()[:-200])
    assert installed == Router(home).connect()


def test_another_bundle_ends_what_came_from_a_distance(home: Home) -> None:
    """An installer was there, with a new key."""
    _take(home, home.wish(1))
    certificate, key = home.authority.certify_router(NAME)
    (home.keys / "router.crt").write_text(certificate)
    (home.keys / "router.key").write_text(key)
    (home.keys / "ca.crt").write_text(home.authority.ca_pem)
    tls = Router(home).connect()
    assert (str(home.keys / "ca.crt"), str(home.keys / "router.crt")) == tls[:2]


def test_where_what_worked_is_refused_again_and_again_the_installed_has_its_turn(
    home: Home,
) -> None:
    """The broker may have been brought back from a backup of before."""
    _take(home, home.wish(1))
    router = Router(home)
    tried = []
    for _ in range(5):
        tried.append(router.connect().ca_file == str(home.keys / "ca.crt"))
        router.credentials.failed(LinkDown("refused", "tls", slow=True), was_connected=False)
    assert [False, False, False, True, False] == tried


def test_flash_that_takes_nothing_refuses_and_says_so(home: Home) -> None:
    """The link stays."""
    home.flash.write_text("in the way")
    router = Router(home)
    router.hears(home.wish())
    router.handler.step(0.0)
    assert router.handler.outcome is not None
    assert "cannot be kept" in (router.handler.outcome.reason or "")
