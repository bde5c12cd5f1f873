"""Users of a page under test, and a browser that logs in as they do."""

import re
import time

import httpx

from titik_collector.accounts import tokens, users
from titik_collector.accounts.audit import Actor
from titik_collector.accounts.hashing import hash_password
from titik_collector.config.model import Config
from titik_collector.store import desk_opening
from titik_collector.store.desk_accounts import Account, Role

PASSWORD = "correct horse battery"
CHEAP = hash_password(PASSWORD, cost=16)  # what is real takes a tenth of a second and 32 MB


def actor() -> Actor:
    """The operator, now."""
    return Actor("root", None, round(time.time() * 1000))


def add_user(
    config: Config, name: str = "budi", role: Role = "viewer", end_ms: int | None = None
) -> None:
    """Who may log in with PASSWORD."""
    with desk_opening.opened(config.page_store) as db:
        users.add(db, Account(name, CHEAP, role, None, end_ms, actor().now_ms), actor())


def remove_user(config: Config, name: str = "budi") -> None:
    """As the operator does."""
    with desk_opening.opened(config.page_store) as db:
        users.remove(db, name, actor())


def add_token(config: Config, role: Role = "viewer") -> str:
    """The secret of a token of a wall."""
    with desk_opening.opened(config.page_store) as db:
        return tokens.add(db, "wall", role, actor())


def form_token(answer: httpx.Response) -> str:
    """Of the form on a page."""
    (found,) = re.findall(r'name="form" value="([0-9a-f]{64})"', answer.text)
    return str(found)


def log_out(page: httpx.Client) -> None:
    """As the button does."""
    token = form_token(page.get("/logout"))
    page.post("/logout", data={"form": token}, headers={"Origin": _origin(page)})


def log_in(
    page: httpx.Client, name: str = "budi", password: str = PASSWORD, **more: str
) -> httpx.Response:
    """Open the form, fill it in and send it; redirects are not followed."""
    token = form_token(page.get("/login"))
    return page.post(
        "/login",
        data={"name": name, "password": password, "form": token, **more},
        headers={"Origin": _origin(page)},
        follow_redirects=False,
    )


def _origin(page: httpx.Client) -> str:
    return str(page.base_url).rstrip("/")
