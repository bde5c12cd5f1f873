"""Checks a name and a password, slowly where somebody guesses.

Rule: a name that there is not takes as long as one that there is, and costs no computing: else
made-up names could keep the processor from those who log in.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from titik_collector.accounts import users
from titik_collector.accounts.hashing import is_password
from titik_collector.accounts.slowing import Slowing
from titik_collector.limits import MAX_PASSWORD
from titik_collector.store import desk_accounts
from titik_collector.store.desk_accounts import Account
from titik_collector.web.desk import Desk

CHECKS = 2  # at once; each takes 32 MB
FIRST_S = 0.1  # how long a check takes, until one was measured


class TooMany(Exception):
    """So many attempts of this name and address wait that one more would wait for too long."""


class SignIn:
    """The way in with a password."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._slowing = Slowing()
        self._checks = ThreadPoolExecutor(CHECKS, "password")
        self._lasts_s = FIRST_S

    async def account(self, name: str, password: str, address: str) -> Account | None:
        """Whose password it is; None if it is nobody's, or its user has ended. TooMany, NoDesk."""
        name = name.strip().lower()[:MAX_PASSWORD]
        wait_s = self._slowing.wait_s(name, address, time.monotonic())
        if wait_s is None:
            raise TooMany
        await asyncio.sleep(wait_s)
        account = await self._desk.ask(lambda db: desk_accounts.find(db, name), None)
        is_right = await self._is_right(password, account.password if account else None)
        if account is None or not is_right:
            return None
        self._slowing.forget(name, address)
        return account if users.is_open(account, round(time.time() * 1000)) else None

    async def _is_right(self, password: str, kept: str | None) -> bool:
        if kept is None or len(password) > MAX_PASSWORD:
            await asyncio.sleep(self._lasts_s)
            return False
        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        is_right = await loop.run_in_executor(self._checks, is_password, password, kept)
        self._lasts_s = time.monotonic() - begun
        return is_right
