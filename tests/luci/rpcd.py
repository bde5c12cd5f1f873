"""rpcd as the pages see it: recorded answers, and the application's own rights.

Rule: what the application's access list does not allow is refused, as rpcd does. What every page of
LuCI may ask, such as the list of interfaces, stands here.
"""

import json
from pathlib import Path
from typing import Any

APPLICATION = Path(__file__).parents[2] / "deploy/openwrt/luci-app-titik"
ACL = APPLICATION / "root/usr/share/rpcd/acl.d/luci-app-titik.json"
STATE = "/var/run/titik-agent/state/agent.json"
CHECKED = "/var/run/titik-agent/check.txt"
OK, NOT_FOUND, REFUSED = 0, 4, 6  # of ubus
OF_EVERY_PAGE = {("luci-rpc", "getNetworkDevices"), ("uci", "apply")}
DEVICES: dict[str, Any] = {"lo": {}, "br-lan": {}, "eth0": {}, "eth1": {}, "phy0-ap0": {}}


class Rpcd:
    """One router: its files, its UCI sections, its services."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.sections: dict[str, dict[str, Any]] = {}
        self.services: dict[str, Any] = {}
        self.uptime_s = 5000
        self.exit = 0  # of the command that is executed
        self.changes: list[tuple[str, dict[str, Any]]] = []  # of UCI, in their order
        self.executed: list[str] = []
        self.used: set[tuple[str, str, str]] = set()  # rights: kind, object, right
        groups = json.loads(ACL.read_text())
        self._rights = {
            (kind, name, right): (group, part)
            for group, rights in groups.items()
            for part in ("read", "write")
            for kind, entry in rights[part].items()
            for name, given in self._spelled(kind, entry, part)
            for right in given
        }

    @staticmethod
    def _spelled(kind: str, entry: Any, part: str) -> list[tuple[str, list[str]]]:
        """A list of names means the part that it stands in."""
        return [(name, [part]) for name in entry] if kind == "uci" else list(entry.items())

    def grants_only(self, group: str, part: str) -> None:
        """To whoever is logged in, of what the access list has."""
        self._rights = {right: of for right, of in self._rights.items() if of == (group, part)}

    @property
    def unused(self) -> set[tuple[str, str, str]]:
        """Rights that nothing has needed."""
        return set(self._rights) - self.used

    def runs(self, *, agent: bool = True) -> None:
        """What procd says of the service; the object has what a real one has."""
        instance = {
            "running": agent,
            "pid": 2211,
            "command": ["/usr/bin/titik-agent", "run", "--config", "/var/run/titik-agent/a.toml"],
            "respawn": {"threshold": 3600, "timeout": 5, "retry": 0},
        }
        self.services = {"titik-agent": {"instances": {"agent": instance} if agent else {}}}

    def answer(self, asked: str) -> str:
        """To one call: its status and what comes with it."""
        call = json.loads(asked)
        return json.dumps(self._answer(call["object"], call["method"], call["args"]))

    def _answer(self, name: str, method: str, args: dict[str, Any]) -> list[Any]:
        if not self._may(name, method, args):
            return [REFUSED, None]
        if name == "file" and method == "read":
            text = self.files.get(args["path"])
            return [NOT_FOUND, None] if text is None else [OK, {"data": text}]
        if name == "file":
            self.executed.append(_line(args))
            return [OK, {"code": self.exit, "stdout": "", "stderr": "no such command"}]
        if name == "uci":
            return self._uci(method, args)
        answers: dict[str, Any] = {
            "luci-rpc": DEVICES,
            "service": self.services,
            "system": {"uptime": self.uptime_s, "load": [1, 2, 3]},
        }
        return [OK, answers[name]]

    def _may(self, name: str, method: str, args: dict[str, Any]) -> bool:
        if (name, method) in OF_EVERY_PAGE:
            return True
        if name == "file":
            needed = (name, _line(args) if method == "exec" else args["path"], method)
        elif name == "uci":
            needed = (name, args["config"], "read" if method == "get" else "write")
        else:
            needed = ("ubus", name, method)
        self.used.add(needed)
        return needed in self._rights

    def _uci(self, method: str, args: dict[str, Any]) -> list[Any]:
        if method == "get":
            return [OK, {"values": self.sections}]
        self.changes.append((method, {key: args[key] for key in args if key != "config"}))
        section = self.sections.get(args.get("section", ""), {})
        if method == "set":
            section.update(args["values"])
        for option in args.get("options", ()):
            section.pop(option, None)
        return [OK, None]


def _line(args: dict[str, Any]) -> str:
    return " ".join([args["command"], *(args["params"] or ())])
