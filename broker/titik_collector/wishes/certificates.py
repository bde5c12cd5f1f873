"""The job that wishes of routers what the broker's folder has for them: certificates, authorities.

Rule: the folder counts. The store has only what is to be published, and it follows.
Rule: who reports that it uses all of it, and keeps it, is wished nothing more.
Rule: a router is shown the witness of an authority that it trusts, for all that is known.
Rule: all routers are looked at when the folder changes; else those that reported, some at a time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from titik_collector.enrolment import handover
from titik_collector.enrolment.handover import Handout, Handover, RouterLogin, Voucher, has
from titik_collector.store import registry_rows, wishes
from titik_collector.store.database import Database
from titik_collector.wishes import router_logins
from titik_wire.fleet_messages import RouterCertificate

EVERY_S: Final = 2.0
AT_ONCE = 200  # routers, in a tenth of a second


@dataclass(eq=False)
class Certificates:
    """Of one broker's folder."""

    _db: Database
    _folder: Callable[[], Path | None]  # of the broker, where it is ours
    _changed: Callable[[Iterable[int]], None]  # wishes of these routers are others
    _now_ms: Callable[[], int]
    _found: Handover | None = None  # what the folder had when it was last looked at
    _at_ns: int | None = None  # when that was written; None: never looked at
    _names: dict[int, str] = field(default_factory=dict)  # of all routers
    _waiting: dict[int, None] = field(default_factory=dict)  # routers to look at, in order

    def due(self, _now: float) -> bool:
        """Whether there is a folder to look at."""
        return self._folder() is not None

    def step(self, _budget_s: float) -> bool:
        """Wish what is new, and withdraw what is used, of some routers."""
        folder = self._folder()
        at_ns = None if folder is None else handover.written_ns(folder)
        if folder is None or at_ns is None:
            return False
        if at_ns != self._at_ns:
            names = {row.id: name for name, row in registry_rows.routers(self._db).items()}
            self._found, self._names = handover.read(folder), names
            self._waiting, self._at_ns = dict.fromkeys(names), at_ns
        some = list(self._waiting)[:AT_ONCE]
        if some and self._found is not None:
            self._bring(self._found, some)
        for one in some:
            del self._waiting[one]
        return bool(self._waiting)

    def heard(self, router_ids: Iterable[int]) -> None:
        """These routers reported what they use."""
        self._waiting |= dict.fromkeys(router_ids)

    def placed(self) -> None:
        """Routers were added or removed."""
        self._at_ns = None

    def _bring(self, found: Handover, router_ids: Sequence[int]) -> None:
        now_ms, changed = self._now_ms(), []
        with self._db.transaction():
            for one in router_ids:
                handout = found.handouts.get(self._names.get(one, ""))
                login = router_logins.of(self._db, one)
                if handout is None or (login is not None and has(login, handout, found.prints)):
                    is_other = wishes.withdraw(self._db, one, "certificate", now_ms)
                else:
                    is_other = wishes.wish(self._db, one, _message(found, handout, login), now_ms)
                if is_other:
                    changed.append(one)
        self._changed(changed)


def _message(found: Handover, handout: Handout, login: RouterLogin | None) -> RouterCertificate:
    voucher = _voucher(found.vouchers, login)
    return RouterCertificate(
        handout.router,
        wishes.FIRST,
        certificate=handout.certificate,
        authorities=found.authorities,
        edition=found.edition,
        witness=None if voucher is None else voucher.certificate,
        witness_key=None if voucher is None else voucher.key,
    )


def _voucher(vouchers: tuple[Voucher, ...], login: RouterLogin | None) -> Voucher | None:
    """Of one that it trusts; who reported nothing trusts the oldest."""
    known = [one for one in vouchers if login is not None and one.by in login.authorities]
    return next(iter([*known, *reversed(vouchers)]), None)
