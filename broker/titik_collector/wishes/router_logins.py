"""The certificate that each router logs in with, and the authorities that it trusts."""

from titik_collector.enrolment.handover import RouterLogin
from titik_collector.store import wishes
from titik_collector.store.database import Database
from titik_collector.store.wishes import RouterRunning


def read(db: Database) -> dict[str, RouterLogin]:
    """By router; who reported nothing is left out."""
    logins = {one.router: _login(one) for one in wishes.all_running(db)}
    return {router: one for router, one in logins.items() if one is not None}


def of(db: Database, router_id: int) -> RouterLogin | None:
    """Of one router; None: it reported nothing."""
    found = wishes.running(db, router_id)
    return None if found is None else _login(found)


def _login(one: RouterRunning) -> RouterLogin | None:
    trust = one.running.trust
    if trust is None:
        return None
    return RouterLogin(trust.certificate, frozenset(trust.authorities), trust.kept is not False)
