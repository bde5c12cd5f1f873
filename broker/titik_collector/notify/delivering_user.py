"""Who delivers on this machine, so that root's test of a receiver is no better than the service.

Rule: it is the owner of what is kept beside the store, and before the first start the unit's user.
Rule: as in the unit it has the store's group, which is that folder's.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from titik_collector.store import notify_opening
from titik_collector.store.opening import Where
from titik_collector.units.systemd_units import NOTIFY_USER, USER


@contextmanager
def acting(where: Where) -> Iterator[str | None]:
    """As that user, where root asks; its name. None: whoever asks stays who they are."""
    found = _user(where) if os.geteuid() == 0 else None
    if found is None or found.pw_uid == 0:
        yield None
        return
    gid, groups = os.getegid(), os.getgroups()
    os.setgroups([*os.getgrouplist(found.pw_name, found.pw_gid), *_store_group(where)])
    os.setegid(found.pw_gid)
    os.seteuid(found.pw_uid)
    try:
        yield found.pw_name
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def _user(where: Where) -> pwd.struct_passwd | None:
    """None: this machine has none."""
    try:
        if where.path is not None and (kept := notify_opening.folder_of(where.path)).exists():
            return pwd.getpwuid(kept.stat().st_uid)
        return pwd.getpwnam(NOTIFY_USER)
    except KeyError:
        return None


def _store_group(where: Where) -> list[int]:
    """Empty: this machine has none."""
    try:
        if where.path is not None and (kept := notify_opening.folder_of(where.path)).exists():
            return [kept.stat().st_gid]
        return [pwd.getpwnam(USER).pw_gid]
    except KeyError:
        return []
