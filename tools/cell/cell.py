"""Three machines with etcd, and PostgreSQL under Patroni, on a switch of this network namespace."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tests.system.netns import ip
from tools.cell import files
from tools.cell.machine import Machine

HUB = "cell"
OURS = "203.0.113.1"  # of whoever plays the cell
DATABASE, USER = "city", "titik"
PORT, REST = 5432, 8008
ETCD = "set -a; . /etc/default/etcd; exec setpriv --reuid etcd --regid etcd --clear-groups etcd"
PATRONI = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "patroni")
WHOLE_S = 180.0
ASK_S = 1.0


class Member(NamedTuple):
    """What Patroni reports of a machine."""

    name: str
    role: str  # leader, sync_standby, replica
    state: str  # running, streaming and others
    timeline: int | None  # of what it has written; None: it is not known now


class Cell:
    """Use as a context manager."""

    def __init__(self, folder: Path, on_step: Callable[[str], None] | None = None) -> None:
        """`folder`: of the disks; `on_step` hears of each step while it starts."""
        self.on_step = on_step or (lambda _step: None)
        self._files = files.Files()
        self.machines = {
            name: Machine(name, address, folder / name, HUB) for address, name in files.machines()
        }

    def __enter__(self) -> "Cell":
        self._remove()  # what a killed process left
        ip("link", "add", HUB, "type", "bridge")
        ip("address", "add", f"{OURS}/24", "dev", HUB)
        ip("link", "set", HUB, "up")
        try:
            for one in self.machines.values():
                self._set_up(one)
                self.boot(one.name)
                self.on_step(f"{one.name} is on: etcd, and PostgreSQL under Patroni")
            self.until_whole()
            self._make_city()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for one in self.machines.values():
            one.kill()
        self._remove()

    @property
    def url(self) -> str:
        """Of the store, wherever it is."""
        hosts = ",".join(one.address for one in self.machines.values())
        return f"postgresql://{USER}@{hosts}/{DATABASE}"

    @property
    def password(self) -> str:
        """Of the store's user."""
        return self._files.password("CITY-PASSWORD")

    def boot(self, name: str) -> None:
        """Switch a machine on."""
        self.machines[name].boot()

    def members(self) -> tuple[Member, ...]:
        """As the first machine that answers reports them; none: nobody does."""
        for one in self.machines.values():
            with suppress(OSError, ValueError):
                url = f"http://{one.address}:{REST}/cluster"
                with urllib.request.urlopen(url, timeout=ASK_S) as answer:
                    found = json.load(answer)["members"]
                return tuple(
                    Member(one["name"], one["role"], one["state"], one.get("timeline"))
                    for one in found
                )
        return ()

    def primary(self) -> Machine | None:
        """The machine that writes; None: none that is known."""
        names = [one.name for one in self.members() if one.role == "leader"]
        return self.machines[names[0]] if names else None

    def awaited_primary(self) -> Machine:
        """The same; at one moment of a busy machine none may answer."""
        deadline = time.monotonic() + WHOLE_S
        while (found := self.primary()) is None:
            assert time.monotonic() < deadline, (self.members(), self._logs())
            time.sleep(0.5)
        return found

    def until_whole(self) -> None:
        """Until the two others follow the primary, one of them synchronously if it must."""
        deadline = time.monotonic() + WHOLE_S
        wanted = ["leader", "replica", "sync_standby" if self._is_synchronous else "replica"]
        last: tuple[Member, ...] = ()
        while sorted(_following(found := self.members())) != sorted(wanted) or not self._is_sent():
            if found and found != last:
                last = found
                self.on_step(", ".join(f"{one.name} {one.role} {one.state}" for one in found))
            assert time.monotonic() < deadline, (self.members(), self._logs())
            time.sleep(0.5)

    def _is_sent(self) -> bool:
        """Whether each other machine gets what the primary writes; etcd keeps what was for 20 s."""
        with suppress(OSError, ValueError):
            primary = self.primary()
            if primary is not None:
                url = f"http://{primary.address}:{REST}/patroni"
                with urllib.request.urlopen(url, timeout=ASK_S) as answer:
                    sent = json.load(answer).get("replication", [])
                names = {one["application_name"] for one in sent if one["state"] == "streaming"}
                return names == {name for name in self.machines if name != primary.name}
        return False

    def sql(self, text: str) -> str:
        """What psql on the primary prints."""
        primary = self.awaited_primary()
        words = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "psql")
        return primary.run(*words, "-qAtX", "-v", "ON_ERROR_STOP=1", text=text)

    @property
    def _is_synchronous(self) -> bool:
        return "synchronous_mode: true" in self._files.text("patroni.yml", "")

    def _remove(self) -> None:
        for one in self.machines.values():
            one.unwire()
        ip("link", "del", HUB, check=False)

    def _set_up(self, one: Machine) -> None:
        one.write("/etc/hosts", files.hosts_file())
        one.write("/etc/default/etcd", self._files.text("etcd.default", one.name))
        config = self._files.text("patroni.yml", one.name)
        one.write("/etc/patroni/config.yml", config, "postgres", 0o640)
        one.service("etcd", "sh", "-c", ETCD)
        one.service("patroni", *PATRONI, "/etc/patroni/config.yml")

    def _make_city(self) -> None:
        self.on_step("all three follow; the city's database is made")
        self.sql(self._files.text("city.sql", ""))

    def _logs(self) -> str:
        return "\n".join(
            one.log(name).read_text(errors="replace")[-1500:]
            for one in self.machines.values()
            for name in ("etcd", "patroni")
        )


def _following(members: Sequence[Member]) -> Iterator[str]:
    """The roles of the leader, and of those that go on from where it does, for all it knows.

    One that was the leader runs for a moment before it takes back what nobody else has.
    """
    lines = {one.timeline for one in members if one.role == "leader"}
    return (
        one.role
        for one in members
        if one.state in ("running", "streaming") and one.timeline in lines
    )
