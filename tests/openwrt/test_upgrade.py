"""The helper that upgrades the agent as root: what it takes, what it refuses, and each way back.

The helper is the package's own, under busybox's ash; feeds and signatures are real. opkg and apk
are models (`root/bin`). The agent is played: it leaves the file of a first ack, or leaves none.
"""

import contextlib
import fcntl
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.openwrt.conftest import HOST
from tests.openwrt.router import UID, Router
from tests.openwrt.test_feeds import RELEASES, Quiet, equip, serving
from tests.openwrt.test_packages import FORMER, SERVICES
from tests.until import PATIENCE_S, until
from titik_collector.feed.feed_folder import write_feeds
from titik_collector.feed.signing_keys import keys_in
from titik_wire import __version__

pytestmark = pytest.mark.system

OLD, NEW = f"{__version__}-r1", f"9{__version__}-r1"
HELPER = "/usr/libexec/titik-upgrade"
RUN = "var/run/titik-agent/upgrade"
KEPT = "usr/lib/titik-upgrade"
BOOT = "etc/rc.d/S99titik-upgrade"
PACES = {"CLOCK_S": "0", "AGAIN_S": "0", "PAUSE_S": "0"}
Change = Callable[["Site"], None]


@dataclass
class Site:
    """A router that runs the old version, and the feed that it has, with both."""

    router: Router
    kind: str
    keys: Path
    acks: bool = True  # whether the collector acknowledges what the new agent reports
    old_code: str = ""

    @property
    def feed(self) -> Path:
        """It lies on the router, where no server can be late."""
        return self.router.root / "feed" / RELEASES[self.kind]

    @property
    def list_(self) -> Path:
        return self.feed / ("Packages.gz" if self.kind == "ipks" else "packages.adb")

    def package(self, version: str, name: str = "titik-agent") -> Path:
        (found,) = self.feed.glob(f"{name}[-_]{version}*.?pk")
        return found

    def publish(self, keys: str = "keys") -> None:
        """Sign the lists again."""
        write_feeds([], self.feed.parent, keys_in(self.keys / keys), str(HOST / "apk"))

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.router.command(*words),
            env={
                "PATH": "/sbin:/bin:/usr/bin", **PACES, "ACK_S": "60" if self.acks else "1",
                **environment,
            },
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def tries(self, revision: int, version: str = NEW, **environment: str) -> str:
        """What the helper reports in the end."""
        self.ends(self.start(HELPER, "try", str(revision), version, **environment))
        return self.status

    def ends(self, process: subprocess.Popen[bytes]) -> int:
        """The agent plays along meanwhile."""
        while process.poll() is None:
            self.ack()
            time.sleep(0.02)
        return process.returncode

    def ack(self) -> None:
        """The new agent has its first ack, if it runs and if there is to be one."""
        place = self.router.root / RUN / "agent"
        running = self.router.running("titik-agent")
        if self.acks and place.exists() and running not in (None, self.old_code):
            (place / f"acked-{NEW.removesuffix('-r1')}").touch()

    @property
    def status(self) -> str:
        file = self.router.root / RUN / "status"
        return file.read_text().strip() if file.exists() else ""

    def is_old(self) -> bool:
        """The old version is installed whole, and agent and probe run from it."""
        running = {self.router.running(one) for one in SERVICES}
        return {self.old_code} == running | {self.router.code()}

    def is_new(self) -> bool:
        running = {self.router.running(one) for one in SERVICES}
        return {self.router.code()} == running and self.router.code() != self.old_code

    def left(self) -> set[str]:
        """What an upgrade has on flash, besides what it installs."""
        root = self.router.root
        # rglob of 3.11 fails at a folder that the helper removes meanwhile.
        found = {
            os.path.relpath(os.path.join(folder, name), root)
            for folder, folders, names in os.walk(root / KEPT)
            for name in (*folders, *names)
        }
        return found | ({BOOT} if os.path.lexists(root / BOOT) else set())

    def reboot(self) -> None:
        """The power was cut; what was in RAM is gone. Services start in order, and so does what
        an upgrade has left."""
        for place in ("tmp", "var/run"):
            for one in (self.router.root / place).iterdir():
                shutil.rmtree(one) if one.is_dir() else one.unlink()
        (self.router.root / "var/run/titik-agent").mkdir()
        self.clock()
        for name in SERVICES:
            self.router.shell("sh", "-c", f"/etc/init.d/{name} start")
        if os.path.lexists(self.router.root / BOOT):
            self.ends(self.start(f"/{BOOT}", "boot"))
            deadline = time.monotonic() + PATIENCE_S
            while self.left() & {BOOT} and time.monotonic() < deadline:
                self.ack()
                time.sleep(0.02)

    def clock(self) -> None:
        (self.router.root / "var/run/titik-agent/clock_ok").touch()


@pytest.fixture(scope="session")
def sites(
    ipks: list[list[Path]], apks: list[list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Site]:
    """One of each kind; to be copied."""
    made = {}
    for kind, versions in (("ipks", ipks), ("apks", apks)):
        folder = tmp_path_factory.mktemp(f"upgrade-{kind}")
        router = Router(folder / "router")
        equip(router, kind)
        router.tool("flock")
        site = Site(router, kind, folder)
        keys = keys_in(folder / "keys")
        write_feeds([*versions[0], *versions[1]], router.root / "feed", keys, str(HOST / "apk"))
        if kind == "ipks":
            shutil.copy(folder / "keys/titik-opkg.pub", router.root / "tmp")
            router.says("opkg-key", "add", "/tmp/titik-opkg.pub")
            line = router.root / "etc/opkg/customfeeds.conf"
            line.write_text(f"src/gz titik file:///feed/{RELEASES[kind]}\n")
        else:
            shutil.copy(folder / "keys/titik-apk.pem", router.root / "etc/apk/keys")
            line = router.root / "etc/apk/repositories.d/titik.list"
            line.write_text(f"/feed/{RELEASES[kind]}/packages.adb\n")
        router.uci(FORMER)
        router.install(*versions[0])
        site.clock()
        site.old_code = router.code()
        assert site.is_old()
        made[kind] = site
    return made


@pytest.fixture
def site(sites: dict[str, Site], kind: str, tmp_path: Path) -> Site:
    """One of the kind."""
    return copied(sites[kind], tmp_path)


def copied(one: Site, folder: Path) -> Site:
    router = one.router.copied(folder / "router")
    keys = folder / "keys"
    shutil.copytree(one.keys / "keys", keys / "keys")
    return Site(router, one.kind, keys, one.acks, one.old_code)


def test_an_agent_with_its_first_ack_stays(site: Site) -> None:
    """Agent and probe are of the new version, and nothing else of the upgrade is left."""
    assert f"7 applied {NEW}" == site.tries(7)
    assert site.is_new()
    assert set() == site.left()
    assert f"8 applied {NEW}" == site.tries(8)  # it is there already
    if site.kind == "apks":
        world = (site.router.root / "etc/apk/world").read_text().split()
        assert {"titik-agent", "titik-agent-probe"} == set(world)


def test_an_agent_without_ack_goes_back(site: Site) -> None:
    """Its revision is not tried again, a later one is."""
    site.acks = False
    assert f"7 rolled-back {NEW} no ack within 1 s" == site.tries(7)
    assert site.is_old()
    assert {f"{KEPT}/result"} == site.left()
    starts = site.router.starts("titik-agent")
    for again in (7, 3):
        assert f"7 rolled-back {NEW} no ack within 1 s" == site.tries(again)
    assert starts == site.router.starts("titik-agent")
    site.reboot()
    assert f"7 rolled-back {NEW} no ack within 1 s" == site.tries(7)
    assert site.is_old()
    site.acks = True
    assert f"8 applied {NEW}" == site.tries(8)
    assert site.is_new()
    assert set() == site.left()


def no_signature(site: Site) -> None:
    if site.kind == "ipks":
        (site.feed / "Packages.sig").unlink()
    else:
        resigned(site, b"")


def other_key(site: Site) -> None:
    for name in ("titik-opkg.pub", "titik-apk.pem"):
        (site.feed.parent / name).unlink()
    site.publish("other keys")


def changed_list(site: Site) -> None:
    if site.kind == "ipks":
        text = gzip.decompress(site.list_.read_bytes()).replace(b"Depends: ", b"Depends: x, ")
        site.list_.write_bytes(gzip.compress(text))
    else:
        raw = site.list_.read_bytes()
        site.list_.write_bytes(raw.replace(b"titik-agent 9", b"titik-agent 8"))


def replayed(site: Site) -> None:
    """A list that was good before the new version came."""
    for one in site.feed.glob("*9*.?pk*"):
        one.unlink()
    site.publish()


def half_a_list(site: Site) -> None:
    whole = site.list_.read_bytes().rstrip(b"\0")
    site.list_.write_bytes(whole[: len(whole) // 2])


def half_a_package(site: Site) -> None:
    whole = site.package(NEW).read_bytes()
    site.package(NEW).write_bytes(whole[: len(whole) // 2])


def other_package(site: Site) -> None:
    shutil.copy(site.package(OLD), site.package(NEW))


def lying_list(site: Site) -> None:
    """Signed by the city's key: the old package under the new version."""
    shutil.copy(site.package(OLD), site.package(NEW))
    if site.kind == "apks":
        text = contents(site.list_)["index"].decode()
        (old,) = [one.split()[2] for one in text.splitlines() if f"agent {OLD}" in one]
        lines = [
            f"titik-agent {NEW} {old}" if one.startswith(f"titik-agent {NEW}") else one
            for one in text.splitlines()
        ]
        resigned(site, None, "".join(f"{one}\n" for one in lines).encode())
        return
    keys = keys_in(site.keys / "keys")
    entries = gzip.decompress(site.list_.read_bytes()).decode().split("\n\n")
    (old,) = [one for one in entries if f"Package: titik-agent\nVersion: {OLD}" in one]
    lie = old.replace(f"Version: {OLD}", f"Version: {NEW}").replace(
        site.package(OLD).name, site.package(NEW).name
    )
    text = "\n\n".join([lie, *(one for one in entries if f"agent\nVersion: {NEW}" not in one)])
    site.list_.write_bytes(gzip.compress(text.encode()))
    (site.feed / "Packages.sig").write_text(keys.opkg.sign(text.encode()))


def contents(tar: Path) -> dict[str, bytes]:
    return contents_of(tar.read_bytes())


def contents_of(raw: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as opened:
        files = ((one, opened.extractfile(one)) for one in opened)
        return {one.name: file.read() for one, file in files if file is not None}


def resigned(site: Site, signature: bytes | None, index: bytes | None = None) -> None:
    """apk's list with another signature or another index."""
    had = contents(site.list_)
    text = had["index"] if index is None else index
    if signature is None:
        sign = ["openssl", "dgst", "-sha512", "-sign", str(site.keys / "keys/titik-apk.key")]
        signature = subprocess.run(sign, input=text, capture_output=True, check=True).stdout
    with tarfile.open(site.list_, "w") as tar:
        for name, content in (("index", text), ("signature", signature)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def no_way_back(site: Site) -> None:
    site.package(OLD, "titik-agent-probe").unlink()


def no_feed(site: Site) -> None:
    shutil.rmtree(site.feed)


def no_line(site: Site) -> None:
    (site.router.root / "etc/opkg/customfeeds.conf").write_text("")
    (site.router.root / "etc/apk/repositories.d/titik.list").unlink(missing_ok=True)


def no_clock(site: Site) -> None:
    (site.router.root / "var/run/titik-agent/clock_ok").unlink()


ATTACKS: tuple[Change, ...] = (
    no_signature, other_key, changed_list, replayed, half_a_list, half_a_package, other_package,
    lying_list, no_way_back, no_feed, no_line, no_clock,
)  # fmt: skip
# apk itself looks at a package, when it installs it; opkg's are looked at before.
AT_INSTALL = {("apks", half_a_package), ("apks", other_package), ("apks", lying_list)}
REASONS = {
    no_signature: "the feed does not answer: file:///feed/24.10",
    other_key: "no key of this router has signed the feed's list",
    changed_list: "no key of this router has signed the feed's list",
    replayed: f"the feed has no titik-agent {NEW}",
    half_a_list: "no key of this router has signed the feed's list",
    half_a_package: f"titik-agent {NEW} of the feed is not what its signed list says",
    other_package: f"titik-agent {NEW} of the feed is not what its signed list says",
    lying_list: f"titik-agent {NEW} of the feed is not what its signed list says",
    no_line: "no feed of the city is installed here (docs/routers.md, Install)",
    no_clock: "NTP has not set the clock",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_what_is_not_the_city_s_is_not_run(site: Site, attack: Change) -> None:
    """Nothing of it is ever started, and the old version is whole."""
    attack(site)
    starts = site.router.starts("titik-agent")
    outcome = site.tries(7)
    is_late = (site.kind, attack) in AT_INSTALL
    assert outcome.startswith(f"7 {'rolled-back' if is_late else 'refused'} {NEW} ")
    if attack in (no_line, no_clock) or (site.kind == "ipks" and attack in REASONS):
        assert f"7 refused {NEW} {REASONS[attack]}" == outcome
    assert site.is_old()
    assert is_late or starts == site.router.starts("titik-agent")
    assert ({f"{KEPT}/result"} if is_late else set()) == site.left()


@pytest.mark.parametrize("version", [OLD, "0.0.1-r1"])
def test_only_a_newer_version_is_taken(site: Site, version: str) -> None:
    """An older feed, or a wish that was recorded long ago, brings no old mistake back."""
    site.tries(7)
    assert (
        f"8 refused {version} {version} is not newer than {NEW}, which runs; go back by hand"
        == (site.tries(8, version))
    )
    assert site.is_new()


@pytest.fixture
def full(site: Site) -> Iterator[Callable[[int], None]]:
    """Leaves that many kB of flash, on a file system of its own."""
    lib = site.router.root / "usr/lib"

    def fill(free_kb: int) -> None:
        copy = lib.with_name("lib-copy")
        shutil.copytree(lib, copy, symlinks=True)
        used = int(subprocess.check_output(["du", "-sk", "--apparent-size", copy]).split()[0])
        size = f"size={2 * used + 20000}k"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", lib], check=True)
        shutil.copytree(copy, lib, symlinks=True, dirs_exist_ok=True)
        have = shutil.disk_usage(lib).free
        with (lib / "filling").open("wb") as file:
            file.write(bytes(max(0, have - (free_kb << 10))))
        mounts = "overlay / overlay rw 0 0\ntmpfs /usr/lib tmpfs rw 0 0\n"
        (site.router.root / "proc/mounts").write_text(mounts)

    yield fill
    subprocess.run(["umount", lib], check=False, stderr=subprocess.DEVNULL)


def test_a_full_flash_is_seen_before(site: Site, full: Callable[[int], None]) -> None:
    """Nothing changes; the reason has both figures."""
    full(700)
    outcome = site.tries(7)
    assert outcome.startswith(f"7 refused {NEW} no room on flash: ")
    assert outcome.endswith(" kB are needed, 700 kB are free")
    assert site.is_old()


def test_flash_that_cannot_be_written_keeps_nothing(site: Site) -> None:
    """What was copied there before would fill it for years."""
    (site.router.root / KEPT / ".step").mkdir(parents=True)
    assert f"7 refused {NEW} the flash cannot be written" == site.tries(7)
    assert ({f"{KEPT}/.step"}, True) == (site.left(), site.is_old())


def needing(site: Site, name: str) -> None:
    """A feed whose new agent depends on one more package."""
    package = site.package(NEW)
    if site.kind == "ipks":
        outer = contents(package)
        inner = contents_of(outer["./control.tar.gz"])
        text = inner["./control"].replace(b"Depends: ", f"Depends: {name} (>= 2), ".encode())
        inner["./control"] = text
        outer["./control.tar.gz"] = packed(inner)
        package.write_bytes(packed(outer))
    else:
        inside = package.with_suffix(".tar")
        with tarfile.open(package) as old, tarfile.open(inside, "w") as new:
            for one in old:
                file = old.extractfile(one) if one.isfile() else None
                content = None if file is None else file.read()
                if one.name == "info" and content is not None:
                    content = content.replace(b"depends:", f"depends:{name} ".encode())
                    one.size = len(content)
                new.addfile(one, None if content is None else io.BytesIO(content))
        inside.replace(package)
    site.publish()


def packed(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def test_a_new_dependency_is_named_before_anything_changes(site: Site) -> None:
    """No feed of the city has it; once it is installed by hand, the upgrade goes through."""
    needing(site, "python3-new")
    manager, adds = ("opkg", "install") if site.kind == "ipks" else ("apk", "add")
    starts = site.router.starts("titik-agent")
    assert (
        f"7 refused {NEW} {NEW} needs python3-new by hand: {manager} update,"
        f" {manager} {adds} python3-new, then restart the router"
    ) == site.tries(7)
    assert (True, set(), starts) == (
        site.is_old(), site.left(), site.router.starts("titik-agent"),
    )  # fmt: skip
    place = site.router.root / ("usr/lib/opkg/info" if site.kind == "ipks" else "lib/apk/db")
    if site.kind == "ipks":
        (place / "other.control").write_text("Package: other\nProvides: python3-x, python3-new\n")
    else:
        (place / "python3-new").mkdir()
        (place / "python3-new/info").write_text("name:python3-new\nversion:2\n")
    assert f"8 applied {NEW}" == site.tries(8)


class Slow(Quiet):
    """Sends a byte now and then, and never ends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x")
                time.sleep(0.2)


def test_a_slow_feed_holds_the_helper_for_a_while_only(site: Site) -> None:
    """It has some minutes for each file; nothing changes, and the next wish is heard."""
    root = site.router.root
    line = root / "etc/opkg/customfeeds.conf"
    if site.kind == "apks":
        line = root / "etc/apk/repositories.d/titik.list"
    was = line.read_text()
    with serving(site.feed.parent, Slow) as address:
        line.write_text(was.replace("file:///feed", address).replace("/feed", address))
        outcome = site.tries(7, FETCH_S="1")
    release = RELEASES[site.kind]
    assert f"7 refused {NEW} the feed is too slow: {address}/{release}" == outcome
    assert (True, set(), True) == (site.is_old(), site.left(), is_free(root / RUN / "lock"))
    with serving(site.feed.parent) as address:
        line.write_text(was.replace("file:///feed", address).replace("/feed", address))
        assert f"8 applied {NEW}" == site.tries(8)


def test_an_upgrade_that_is_killed_goes_on(site: Site) -> None:
    """Memory was short: without a restart of the router it would be `trying` for ever."""
    site.acks = False
    helper = site.start(HELPER, "listen", ACK_S="600")
    try:
        wish, step = site.router.root / RUN / "wish", site.router.root / KEPT / "step"
        assert until(wish.is_fifo, True)
        wish.write_text(f"7 {NEW}\n")
        for at in ("trial", "back"):  # the second time it is the helper that was kept
            seen = until(lambda: step.read_text().split()[3] if step.exists() else "", at)
            assert at == seen
            if at == "trial":
                for one in psutil.Process(helper.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself
                        one.kill()
        site.acks = True

        def ended() -> str:
            site.ack()
            return site.status

        wanted = f"7 applied {NEW}"
        assert wanted == until(ended, wanted)
        assert until(lambda: (site.is_new(), len(site.left())), (True, 0)) == (True, 0)
    finally:
        helper.kill()
        helper.wait()


HOSTILE = (
    b"7 $(touch /tmp/x)\n", b"7 `touch /tmp/x`\n", b"7 9;touch /tmp/x\n", b"7 9|sh\n",
    b"7 ../../tmp/x\n", b"7 /tmp/x.ipk\n", b"7 -rf\n", b"-7 9.9-r1\n", b"7 --allow-untrusted\n",
    b"7 *\n", b"7 9*\n", b"7\n", b"\n", b"7 9.9-r1 http://evil.example\n", b"x 9.9-r1\n",
    b"7 9.9-r1\r\n", b"7 9'\n", b'7 9"\n', b"7 9\\\n", b"7 9.9\0-r1&\n", b"99999999999 9.9-r1\n",
    b"7 9" + b"9" * 40 + b"\n", b"x" * 200_000 + b"\n",
)  # fmt: skip


def test_words_of_the_agent_are_two_or_nothing(site: Site) -> None:
    """Whatever else is written into the FIFO starts nothing, and the next good words are heard."""
    root = site.router.root
    helper = site.start(HELPER, "listen")
    try:
        wish = root / RUN / "wish"
        assert until(lambda: wish.exists() and wish.stat().st_mode & 0o777, 0o620)
        assert (0, UID) == (wish.stat().st_uid, wish.stat().st_gid)
        with wish.open("wb", buffering=0) as words:
            for one in HOSTILE:
                words.write(one)
            good = f"echo 7 {NEW.removesuffix('-r1')} >/{RUN}/wish"  # -r1 goes without saying
            asks = site.router.command("/bin/busybox", "sh", "-c", good, user=UID)
            subprocess.run(asks, env={"PATH": "/sbin:/bin:/usr/bin"}, check=True)
            for forbidden in ("status", "lock", "agent/../x"):
                write = site.router.command(
                    "/bin/busybox", "sh", "-c", f"echo 8 >>/{RUN}/{forbidden}", user=UID
                )
                assert subprocess.run(
                    write,
                    env={"PATH": "/sbin:/bin:/usr/bin"},
                    check=False,
                    stderr=subprocess.DEVNULL,
                ).returncode
            deadline = time.monotonic() + PATIENCE_S
            while site.status != f"7 applied {NEW}" and time.monotonic() < deadline:
                site.ack()
                time.sleep(0.02)
    finally:
        helper.kill()
        helper.wait()
    assert f"7 applied {NEW}" == site.status
    assert site.is_new()
    assert {NEW} == {
        line.split()[5].rstrip(":")
        for line in site.router.log().splitlines()
        if "titik-upgrade" in line
    }
    assert not (root / "tmp/x").exists()


def test_what_came_back_is_known_after_a_restart(site: Site) -> None:
    """The agent finds it as soon as the helper listens."""
    site.acks = False
    outcome = site.tries(7)
    site.reboot()
    assert "" == site.status
    helper = site.start(HELPER, "listen")
    try:
        assert outcome == until(lambda: site.status, outcome)
    finally:
        helper.kill()
        helper.wait()


SHORT = (("install", 0, True), ("sync", 5, False))
CUTS = [
    *SHORT,
    *(
        pytest.param(what, number, acks, marks=pytest.mark.long)
        for what, many in (("sync", 11), ("install", 1))
        for number in range(many)
        for acks in (number % 3 != 0,)
        if (what, number, acks) not in SHORT
    ),
]


@pytest.mark.parametrize(("what", "number", "acks"), CUTS)
def test_a_power_cut_leaves_one_whole_version(
    site: Site, what: str, number: int, acks: bool
) -> None:
    """Wherever it comes, and whoever holds the packages then."""
    site.acks = acks
    root = site.router.root
    if what == "sync":
        (root / "tmp/cut-sync").write_text(f"{number}\n")
    else:
        (root / "tmp/cut-install").touch()
    site.ends(site.start(HELPER, "try", "7", NEW))
    if number % 2:  # there was no room for them on flash
        shutil.rmtree(root / KEPT / "old", ignore_errors=True)
    site.reboot()
    outcome = site.tries(7)
    assert outcome.split()[1] in (("applied", "rolled-back") if acks else ("rolled-back",))
    assert site.is_new() if "applied" in outcome else site.is_old()
    assert (set() if "applied" in outcome else {f"{KEPT}/result"}) == site.left()
    site.acks = True
    assert f"8 applied {NEW}" == site.tries(8)
    assert site.is_new()
    assert set() == site.left()


def is_free(lock: Path) -> bool:
    """Whoever the helper had started has ended too."""
    with lock.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def test_two_cuts_without_ack_are_enough(site: Site) -> None:
    """A version that restarts the router does not do so for ever."""
    site.acks = False
    process = site.start(HELPER, "try", "7", NEW, ACK_S="600")
    step = site.router.root / KEPT / "step"
    for at in ("trial", "back"):
        seen = until(lambda: step.read_text().split()[3] if step.exists() else "", at)
        assert at == seen
        process.kill()
        process.wait()
        assert until(lambda: is_free(site.router.root / RUN / "lock"), True)
        if at == "trial":
            process = site.start(f"/{KEPT}/helper", "go_on", ACK_S="600")
    site.reboot()
    assert f"7 rolled-back {NEW} no ack after two starts of the router" == site.tries(7)
    assert site.is_old()
