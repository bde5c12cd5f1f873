"""Brings a broker's folder with the files `acl` and `passwords` to mosquitto's plugin.

An earlier version wrote both, and mosquitto read them at a signal. They are kept right until a
broker that reads them has been started again, and then removed. `titik broker init` of that
version makes them again from what it finds.

Rule: only a new engineer still changes the ACL.
"""

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from titik_collector.access import rights
from titik_collector.access.passwords import Hash
from titik_collector.access.plugin_file import Access
from titik_collector.files.replace import Owner, replace_file
from titik_wire.topics import ALL, BROKER, PREFIX

FILES = ("mosquitto.conf", "acl", "passwords")
READS_S = 0.1  # longer than mosquitto takes to read its files
_HASH = re.compile(r"([^:]+):\$7\$([1-9][0-9]{0,6})\$([A-Za-z0-9+/]{16})\$([A-Za-z0-9+/]{86}==)")
_ENGINEER = f"""
user {{name}}
topic deny {PREFIX}/router/{{name}}/#
topic read {ALL}
topic read {BROKER}
"""
# Every line that the earlier version wrote, with names and ids left open.
_ITS = re.compile(
    rf"user \S+|topic read ({ALL}|{re.escape(BROKER)}|{PREFIX}/router/\+/backlog)"
    rf"|pattern read {PREFIX}/(router/%u/ack|collector/\+/status)"
    rf"|pattern write {PREFIX}/router/%u/(status|sample|backlog)"
    rf"|topic deny {PREFIX}/router/[^/+#]+/#"
    rf"|topic readwrite {PREFIX}/(router/\+/(status|sample|ack)|collector/[^/+#]+/status"
    r"|(now|rollup|alert)/#)"
)


def exists(directory: Path) -> bool:
    """Whether a broker may run, or be run, that reads these."""
    return (directory / "passwords").exists()


def passwords(directory: Path) -> dict[str, Hash]:
    """By user; what cannot be read is left out."""
    try:
        text = (directory / "passwords").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    found = map(_HASH.fullmatch, text.splitlines())
    return {one[1]: Hash(one[3], one[4], int(one[2])) for one in found if one is not None}


def follow(directory: Path, access: Access, engineers: tuple[str, ...], its: Owner) -> None:
    """Bring them to what the plugin's file says, if they are there."""
    if not exists(directory):
        return
    hashes = {name: access.hash_of(name) for name in access.clients() if name != rights.CONTROL}
    lines = [
        f"{name}:$7${one.rounds}${one.salt}${one.digest}\n"
        for name, one in hashes.items()
        if one is not None
    ]
    replace_file(directory / "passwords", "".join(lines), its)
    acl = directory / "acl"
    text = acl.read_text(encoding="utf-8") if acl.exists() else ""
    new = [one for one in engineers if f"user {one}" not in text.splitlines()]
    if new:
        replace_file(acl, text + "".join(_ENGINEER.format(name=one) for one in new), its)


def reload(pid: int) -> None:
    """Have that broker read them: a signal that comes while it reads for another is forgotten."""
    os.kill(pid, signal.SIGHUP)
    time.sleep(READS_S)
    os.kill(pid, signal.SIGHUP)


def end(directory: Path) -> None:
    """Remove them; no one reads them once the plugin is in charge. A hand may have been in two.

    mosquitto's account may not, then the next command does.
    """
    with suppress(PermissionError):
        for name in FILES:
            file = directory / name
            if not file.exists():
                continue
            if name == "passwords":
                file.unlink()
            else:
                file.replace(file.with_name(f"{name}.old"))


def by_hand(directory: Path, ctl: str, roles: Mapping[str, str]) -> list[str]:
    """Every line of the ACL that the earlier version did not write, and what replaces it.

    `roles`: of users who are no routers; who shares one with others gets one more.
    """
    try:
        text = (directory / "acl").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    lines, user = [], ""
    for line in (one.strip() for one in text.splitlines()):
        if line.startswith("user "):
            user = line.removeprefix("user ").strip()
        elif line and not line.startswith("#") and _ITS.fullmatch(line) is None:
            who = "" if line.startswith("pattern") else user
            lines.append(f"acl, of {who or 'everybody'}: {line}")
            lines += [f"  {ctl} {one}" for one in _instead(line, who, roles)]
    return list(dict.fromkeys(lines))


def _instead(line: str, user: str, roles: Mapping[str, str]) -> Iterator[str]:
    """Commands of `mosquitto_ctrl`; none of what no one can use now."""
    words = line.split(maxsplit=1)
    if len(words) < 2 or words[0] not in ("topic", "pattern"):
        return
    how, _, topic = words[1].partition(" ")
    if how not in ("read", "write", "readwrite", "deny"):
        how, topic = "readwrite", words[1]
    if words[0] == "topic" and not user:
        return  # of clients without a name, and none is let in
    own = "%" in topic
    topic = topic.replace("%u", "NAME").replace("%c", "NAME")
    role = roles.get(user, rights.router_role(user or "NAME"))
    if not user and not own:
        role = rights.ROUTER
    if role == rights.ENGINEER:
        role = f"more:{user}"
        yield f"createRole {role}"
        yield f"addClientRole {user} {role}"
    allow = "deny" if how == "deny" else "allow"
    if how != "read":
        yield f"addRoleACL {role} {rights.SEND} '{topic}' {allow}"
    if how != "write":
        yield f"addRoleACL {role} {rights.HEAR} '{topic}' {allow}"
        yield f"addRoleACL {role} {rights.PATTERN} '{topic}' {allow}"
