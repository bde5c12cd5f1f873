"""The file of mosquitto's dynamic-security plugin: its clients and their roles.

Rule: every change is made in the file and noted as a command, so that a broker which runs can be
brought to the same.
Rule: what an operator added stays: clients and roles of other names, and more lines in ours.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from titik_collector.access.passwords import Hash, hash_password, matches
from titik_collector.access.rights import Right

FILE = "dynamic-security.json"
_DEFAULTS = {
    "publishClientSend": False,
    "publishClientReceive": False,
    "subscribe": False,
    "unsubscribe": True,
}
_NEW = {"defaultACLAccess": _DEFAULTS, "clients": [], "groups": [], "roles": []}
Command = dict[str, Any]
DENY_BY_DEFAULT: Command = {
    "command": "setDefaultACLAccess",
    "acls": [{"acltype": kind, "allow": allow} for kind, allow in _DEFAULTS.items()],
}


class Access:
    """What the plugin knows; `commands` is what was changed since it was read."""

    def __init__(self, text: bytes | None = None) -> None:
        """ValueError if it is damaged; None: a new one, without any rights."""
        self._document = json.loads(json.dumps(_NEW) if text is None else text)
        self._clients = _by_name(self._document, "clients", "username")
        self._roles = _by_name(self._document, "roles", "rolename")
        self.commands: list[Command] = []

    def text(self) -> str:
        """The file's content."""
        document = {
            **self._document,
            "clients": list(self._clients.values()),
            "roles": list(self._roles.values()),
        }
        return json.dumps(document, separators=(",", ":")) + "\n"

    def clients(self) -> list[str]:
        """Every user's name."""
        return sorted(self._clients)

    def roles(self) -> list[str]:
        """Every role's name."""
        return sorted(self._roles)

    def roles_of(self, client: str) -> list[str]:
        """The roles of a user; none if there is no such user."""
        return [str(one["rolename"]) for one in self._clients.get(client, {}).get("roles", [])]

    def hash_of(self, client: str) -> Hash | None:
        """What a user's password is compared with; None: it has none."""
        return _hash(self._clients.get(client, {}))

    def roles_and_rights(self) -> list[tuple[str, str]]:
        """Every line of roles that somebody has; the same text, whoever wrote the file."""
        holders = [*self._clients.values(), *self._document.get("groups", [])]
        held = {one["rolename"] for row in holders for one in row.get("roles", [])}
        return [
            (name, json.dumps([one["acltype"], one.get("topic"), one.get("allow", False)]))
            for name, role in self._roles.items()
            for one in role.get("acls", [])
            if name in held
        ]

    def standing_of(self, client: str) -> str:
        """What a user may, without its password, as such text."""
        row = self._clients.get(client, {})
        groups = sorted(str(one.get("groupname")) for one in row.get("groups", []))
        own_id, disabled = row.get("clientid"), bool(row.get("disabled"))
        return json.dumps([own_id, disabled, sorted(self.roles_of(client)), groups])

    def deny_by_default(self) -> None:
        """What no role allows is refused."""
        if self._document.get("defaultACLAccess") == _DEFAULTS:
            return
        self._document["defaultACLAccess"] = dict(_DEFAULTS)
        self.commands.append(DENY_BY_DEFAULT)

    def put_role(self, name: str, rights: Sequence[Right]) -> None:
        """Make it, or give it what it lacks."""
        role = self._roles.get(name)
        if role is None:
            acls = [_line(right) for right in rights]
            self._roles[name] = {"rolename": name, "acls": acls}
            self._note("createRole", rolename=name, acls=acls)
            return
        has = {(one.get("acltype"), one.get("topic")) for one in role.setdefault("acls", [])}
        for right in rights:
            if (right.kind, right.topic) not in has:
                role["acls"].append(_line(right))
                self._note("addRoleACL", rolename=name, **_line(right))

    def put_client(
        self, name: str, roles: Sequence[str], password: str | None, client_id: str | None = None
    ) -> bool:
        """Make it, or give it what it lacks; whether it is new or has another password."""
        client = self._clients.get(name)
        if client is not None and (_hash(client) is None) != (password is None):
            self.drop_client(name)  # no command takes a password away
            client = None
        if client is None:
            self._create(name, roles, password, client_id)
            return True
        has = self.roles_of(name)
        for role in roles:
            if role not in has:
                client.setdefault("roles", []).append({"rolename": role})
                self._note("addClientRole", username=name, rolename=role)
        if client.pop("disabled", False):
            self._note("enableClient", username=name)
        if password is None or matches(password, _hash(client)):
            return False
        client.update(_kept(hash_password(password)))
        self._note("setClientPassword", username=name, password=password)
        return True

    def adopt(self, name: str, roles: Sequence[str], hashed: Hash) -> None:
        """A user whose password no one here knows; in the file alone: no command takes a hash."""
        self._create(name, roles, None, None)
        self._clients[name].update(_kept(hashed))

    def drop_client(self, name: str) -> bool:
        """Forget a user, which ends its sessions; False if there was none."""
        if self._clients.pop(name, None) is None:
            return False
        self._note("deleteClient", username=name)
        return True

    def drop_role(self, name: str) -> None:
        """Forget a role; every client that has it loses it."""
        if self._roles.pop(name, None) is not None:
            for client in self._clients.values():
                left = [one for one in client.get("roles", []) if one["rolename"] != name]
                client["roles"] = left
            self._note("deleteRole", rolename=name)

    def _create(
        self, name: str, roles: Sequence[str], password: str | None, client_id: str | None
    ) -> None:
        client: dict[str, Any] = {"username": name}
        if client_id is not None:
            client["clientid"] = client_id
        client["roles"] = [{"rolename": role} for role in roles]
        given = dict(client)
        if password is not None:
            client.update(_kept(hash_password(password)))
            given["password"] = password
        self._clients[name] = client
        self._note("createClient", **given)

    def _note(self, command: str, **more: Any) -> None:
        self.commands.append({"command": command, **more})


def _line(right: Right) -> dict[str, Any]:
    return {"acltype": right.kind, "topic": right.topic, "priority": 0, "allow": True}


def _kept(hashed: Hash) -> dict[str, Any]:
    return {"password": hashed.digest, "salt": hashed.salt, "iterations": hashed.rounds}


def _hash(client: dict[str, Any]) -> Hash | None:
    if "password" not in client:
        return None
    return Hash(str(client.get("salt")), str(client["password"]), int(client.get("iterations", 0)))


def _by_name(document: Any, table: str, key: str) -> dict[str, dict[str, Any]]:
    """ValueError if it is not as the plugin writes it."""
    try:
        rows: Iterable[dict[str, Any]] = document.setdefault(table, [])
        found = {row[key]: row for row in rows}
        for row in found.values():
            for one in row.get("roles", []):
                _ = one["rolename"]
            for one in row.get("acls", []):
                _ = one["acltype"]
            _hash(row)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{table}: not as the plugin writes it") from error
    if not all(isinstance(name, str) for name in found):
        raise ValueError(f"{table}: a name that is none")
    return found
