"""The life of a router by docs/routers.md, from a signed feed: the page's commands, word for word.

The feeds are real, and so are their signatures. opkg and apk are models (`root/bin`), which leave
it to signify and openssl whether a signature is good.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.openwrt.conftest import HOST
from tests.openwrt.router import UID, Router
from tests.openwrt.test_luci_packages import MAKERS
from tests.openwrt.test_packages import FORMER, SERVICES
from titik_collector.feed.feed_folder import write_feeds
from titik_collector.feed.signing_keys import keys_in
from tools.matrix import ROOT

pytestmark = pytest.mark.system

PAGE = (ROOT / "docs/routers.md").read_text()
SERVED = "http://server.example/feed"
RELEASES = {"ipks": "24.10", "apks": "25.12"}
VERIFIERS = {"ipks": "signify-openbsd", "apks": "openssl"}
OF = {"ipks": "opkg", "apks": "apk"}
OWN = "the router's own"
STOP = "service titik-agent stop"


class Quiet(SimpleHTTPRequestHandler):
    """Any web server."""

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@dataclass
class Life:
    """One router, and the feed that it installs from."""

    router: Router
    kind: str
    folder: Path  # as `var` is
    address: str = ""
    printed: list[str] = field(default_factory=list)
    keys: str = "keys"

    @property
    def feed(self) -> Path:
        return self.folder / "feed"

    @property
    def release(self) -> Path:
        return self.feed / RELEASES[self.kind]

    def publish(self, packages: list[Path], out: str = "feed") -> None:
        """As `make openwrt-feed` does."""
        write_feeds(
            packages, self.folder / out, keys_in(self.folder / self.keys), str(HOST / "apk")
        )

    def follow(self, heading: str) -> None:
        """Do what a chapter says for this manager; each command must succeed."""
        for line in steps(heading, self.kind):
            self.do(line)

    def do(self, line: str) -> None:
        """One line of the page, on the laptop or on the router."""
        words = line.split()
        if words[0] == "scp":
            target = self.router.root / words[-1].partition(":/")[2]
            shutil.copy(self.folder / words[2].removeprefix("var/"), target)
        elif words[0] not in ("make", "ssh"):
            done = self.router.shell("sh", "-c", line.replace(SERVED, self.address))
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
            self.printed.append(done.stdout)

    def tries(self, *words: str) -> str:
        """What a command prints that must fail."""
        done = self.router.shell("sh", "-c", " ".join(words))
        assert done.returncode != 0, words
        return done.stdout

    def runs(self) -> bool:
        """Agent and probe, from the code that is installed."""
        return {self.router.code()} == {self.router.running(one) for one in SERVICES}


def steps(heading: str, kind: str) -> list[str]:
    """The commands of a chapter, without those of the other manager."""
    (chapter,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    blocks = re.findall(r"^```sh\n(.*?)^```", chapter, re.M | re.S)
    other = re.compile(r"\bapk\b" if kind == "ipks" else r"\bopkg\b")
    return [line for block in blocks if not other.search(block) for line in block.splitlines()]


def image_lines(kind: str) -> list[str]:
    """What the page has typed in the image builder, without the lines of the other manager."""
    (recipe,) = re.findall(r"^\*\*As an image,\*\*(.*?)^    make image ", PAGE, re.M | re.S)
    other = re.compile(r"\bapk\b" if kind == "ipks" else r"\bopkg\b")
    blocks = re.findall(r"(?:^ {4}.*\n)+", recipe, re.M)
    return [
        line
        for block in blocks
        if not other.search(block)
        for line in block.strip().split("\n    ")
    ]


@pytest.fixture
def life(kind: str, versions: list[list[Path]], tmp_path: Path) -> Iterator[Life]:
    """A router without packages; this version lies in the feed."""
    one = Life(firmware(tmp_path / "router", kind), kind, tmp_path / "var")
    one.publish(versions[0])
    with serving(one.feed) as one.address:
        yield one


@contextmanager
def serving(folder: Path, handler: type[Quiet] = Quiet) -> Iterator[str]:
    """Any web server, on this machine; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def firmware(folder: Path, kind: str) -> Router:
    """As it comes, with a manager that can verify."""
    router = Router(folder)
    equip(router, kind)
    return router


def equip(router: Router, kind: str) -> None:
    router.tool(VERIFIERS[kind])
    router.ujail()


def kept(router: Router) -> dict[str, tuple[str, int]]:
    """What must outlive every version, with its owner."""
    names = ("router.key", "spool/spool.checkpoint")
    files = [router.root / "etc/titik" / one for one in names]
    return {one.name: (one.read_text(), one.stat().st_uid) for one in files} | {
        "interval_s": (router.says("uci", "get", "titik-agent.main.interval_s"), 0)
    }


def test_a_router_s_life_by_the_page(life: Life, versions: list[list[Path]]) -> None:
    """Install, upgrade, go back, a new firmware, remove: what runs is what is installed."""
    life.router.uci(FORMER)
    life.follow("Install")
    life.do(f"{OF[life.kind]} {'install' if life.kind == 'ipks' else 'add'} titik-agent-probe")
    assert life.runs()
    first = life.router.code()
    for name in ("router.key", "spool/spool.checkpoint"):
        (life.router.root / "etc/titik" / name).write_text(OWN)
        os.chown(life.router.root / "etc/titik" / name, UID, UID)
    before = kept(life.router)

    life.publish(versions[1])
    life.follow("Upgrade")
    assert life.runs()
    second = life.router.code()
    assert first != second
    assert before == kept(life.router)

    life.follow("Go back to an older version")
    assert life.runs()
    assert first == life.router.code()
    assert before == kept(life.router)

    *_, after = "\n".join(steps("Firmware upgrades", life.kind)).partition(f"{STOP}\n")
    life.do(STOP)
    assert life.router.running("titik-agent") is None
    life.router = life.router.sysupgrade(life.folder / "flashed")
    equip(life.router, life.kind)
    assert not (life.router.root / "usr/bin/titik-agent").exists()
    for line in after.splitlines():
        life.do(line)
    assert second == life.router.running("titik-agent")
    assert before == kept(life.router)

    life.follow("Remove")
    assert_removed(life.router)


def assert_removed(router: Router) -> None:
    left = {str(one.relative_to(router.root)) for one in router.root.rglob("*titik*")}
    assert set() == {one for one in left if not one.startswith(("tmp/", "var/"))}  # in RAM
    assert "titik" not in (router.root / "etc/opkg/customfeeds.conf").read_text()
    assert [] == list((router.root / "etc/opkg/keys").iterdir())


def test_the_pages_of_luci_go_before_the_agent(
    life: Life, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No manager removes what others need: the agent would run on without its settings."""
    monkeypatch.setenv("PATH", f"{HOST}:{os.environ['PATH']}")
    life.router.uci(FORMER)
    life.router.uci("config internal 'languages'\n", "luci")
    life.follow("Install")
    life.publish(MAKERS[kind](tmp_path / "pages"))
    add, remove = ("install", "remove") if kind == "ipks" else ("add", "del")
    for command in ("update", f"{add} titik-agent-probe luci-app-titik luci-i18n-titik-id"):
        life.do(f"{OF[kind]} {command}")
    life.router.shell("sh", "-c", f"{OF[kind]} {remove} titik-agent-probe titik-agent")
    assert (life.router.root / "usr/bin/titik-agent").exists()
    life.follow("Remove")
    assert_removed(life.router)


def test_a_feed_that_nobody_signed_for_is_refused(life: Life, kind: str) -> None:
    """The router lacks the key, or a byte of the list or of a package is another."""
    install = [line for line in steps("Install", kind) if line.split()[0] in ("scp", "opkg-key")]
    first = [line for line in steps("Install", kind) if line.startswith("echo")]
    for line in first:
        life.do(line)
    wanted = ("opkg", "install") if kind == "ipks" else ("apk", "add")
    life.router.shell("sh", "-c", f"{wanted[0]} update")
    assert "titik-agent" in life.tries(*wanted, "titik-agent")  # no key yet

    for line in install:
        life.do(line)
    index = life.release / ("Packages.sig" if kind == "ipks" else "packages.adb")
    good = index.read_bytes()
    others = life.folder / "others"
    write_feeds(
        [one for one in life.release.iterdir() if one.suffix in (".ipk", ".apk")],
        others, keys_in(life.folder / "other-keys"), str(HOST / "apk"),
    )  # fmt: skip
    index.write_bytes((others / RELEASES[kind] / index.name).read_bytes())
    life.router.shell("sh", "-c", f"{wanted[0]} update")
    assert "titik-agent" in life.tries(*wanted, "titik-agent")  # of another key

    index.write_bytes(good)
    (package,) = life.release.glob("titik-agent[-_]0*.?pk")
    whole = package.read_bytes()
    package.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    life.do(f"{wanted[0]} update")
    refusal = life.tries(*wanted, "titik-agent")
    assert re.search("sha256sum mismatch|BAD signature", refusal)
    assert not (life.router.root / "usr/bin/titik-agent").exists()

    package.write_bytes(whole)
    life.do(f"{' '.join(wanted)} titik-agent")
    assert (life.router.root / "usr/bin/titik-agent").exists()


@pytest.mark.parametrize("kind", ["ipks"], indirect=True)
def test_a_package_that_was_changed_is_not_gone_back_to(
    life: Life, versions: list[list[Path]], kind: str
) -> None:
    """opkg checks no file by itself: the page's own step does."""
    life.follow("Install")
    life.publish(versions[1])
    life.follow("Upgrade")
    (package,) = life.release.glob("titik-agent_0*.ipk")
    package.write_bytes(package.read_bytes() + b"\0")
    lines = steps("Go back to an older version", kind)
    (check,) = [line for line in lines if line.startswith("usign")]
    for line in lines[: lines.index(check)]:
        life.do(line)
    assert life.router.shell("sh", "-c", check).returncode != 0


def test_a_new_signing_key_by_the_page(life: Life, versions: list[list[Path]], kind: str) -> None:
    """Routers trust both for a while; in the end the old one signs nothing for them."""
    life.follow("Install")
    former = [one.name for one in (life.router.root / "etc/opkg/keys").iterdir()]
    life.keys = "keys-2"
    life.publish(versions[1], "feed-new")
    first = life.router.code()
    for line in steps("A new signing key", kind):
        moves = "feed-old" in line or line == f"{OF[kind]} update"
        if moves and not (life.folder / "feed-old").exists():
            life.feed.rename(life.folder / "feed-old")
            (life.folder / "feed-new").rename(life.feed)
        life.do(line)
    life.follow("Upgrade")
    assert first != life.router.code()
    assert set(former).isdisjoint(
        one.name for one in (life.router.root / "etc/opkg/keys").iterdir()
    )
    life.feed.rename(life.folder / "feed-new")
    (life.folder / "feed-old").rename(life.feed)
    life.router.shell("sh", "-c", f"{OF[kind]} update")
    life.router.says(OF[kind], "remove" if kind == "ipks" else "del", "titik-agent")
    life.tries(OF[kind], "install" if kind == "ipks" else "add", "titik-agent")


def test_a_feed_needs_no_web_server(life: Life, kind: str) -> None:
    """It may lie on the router itself; the signature is verified all the same."""
    shutil.copytree(life.release, life.router.root / "tmp" / RELEASES[kind])
    address = f"file:///tmp/{RELEASES[kind]}" if kind == "ipks" else f"/tmp/{RELEASES[kind]}"
    for line in steps("Install", kind):
        life.do(line.replace(f"{SERVED}/{RELEASES[kind]}", address))
    assert (life.router.root / "usr/bin/titik-agent").exists()


def test_an_image_has_the_feed(life: Life, versions: list[list[Path]], kind: str) -> None:
    """By the page's lines: the service starts the helper that upgrades, and trusts the key."""
    laptop = life.folder.parent
    (laptop / "deploy").symlink_to(ROOT / "deploy")
    (laptop / "tirosa-1.sh").touch()
    lines = image_lines(kind)
    for line in lines:
        typed = ["sh", "-ec", line.replace(SERVED, life.address)]
        subprocess.run(typed, cwd=laptop, check=True)
    assert len(lines) == 6
    life.router.install(*versions[0])
    life.router.uci(FORMER)
    started = life.router.service("titik-agent")
    assert "upgrade" not in [one[1] for one in started if one[0] == "open"]  # no feed yet
    shutil.copytree(laptop / "files", life.router.root, dirs_exist_ok=True)
    started = life.router.service("titik-agent")
    assert "upgrade" in [one[1] for one in started if one[0] == "open"]
    first = life.router.code()
    life.publish(versions[1])
    life.follow("Upgrade")
    assert first != life.router.code()
