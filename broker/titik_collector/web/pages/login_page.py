"""`/login` and `/logout`: a session begins and ends."""

import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from titik_collector.accounts import sessions
from titik_collector.accounts.audit import Actor
from titik_collector.accounts.slowing import PATIENCE_S
from titik_collector.languages.codes import marked
from titik_collector.store.desk_accounts import Account
from titik_collector.web import cookies, forms
from titik_collector.web.rendering import city_of
from titik_collector.web.sign_in import SignIn, TooMany

WRONG = marked("Name or password is wrong, or the access has ended.")
SLOWED = marked("Too many attempts with this name from here. Wait half a minute, then try again.")


async def _show(request: Request) -> Response:
    onwards = forms.local_path(request.query_params.get("next", "/"))
    return forms.render_form(request, "login.html", next=onwards, name="", wrong=None)


async def _log_in(request: Request) -> Response:
    fields = await forms.read(request)
    sign_in: SignIn = request.app.state.sign_in
    name, address = fields.get("name", ""), request.state.address
    try:
        account = await sign_in.account(name, fields.get("password", ""), address)
    except TooMany:
        answer = _again(request, fields, 429, SLOWED)
        answer.headers["Retry-After"] = str(round(PATIENCE_S))
        return answer
    if account is None:
        return _again(request, fields, 401, WRONG)
    return await _begin(request, account, forms.local_path(fields.get("next", "/")))


async def _begin(request: Request, account: Account, onwards: str) -> Response:
    before, actor = cookies.get(request, cookies.SESSION), _actor(request, account.name)
    desk = city_of(request).desk
    secret = await desk.write(lambda db: sessions.begin(db, account, before, actor))
    answer = RedirectResponse(onwards, 303)
    cookies.put(request, answer, cookies.SESSION, secret, sessions.LONGEST_MS // 1000)
    return answer


def _again(request: Request, fields: Mapping[str, str], status: int, wrong: str) -> Response:
    onwards = forms.local_path(fields.get("next", "/"))
    name = fields.get("name", "")
    return forms.render_form(request, "login.html", status, next=onwards, name=name, wrong=wrong)


async def _ask(request: Request) -> Response:
    return forms.render_form(request, "logout.html")


async def _log_out(request: Request) -> Response:
    await forms.read(request)
    secret, viewer = cookies.get(request, cookies.SESSION), request.state.viewer
    answer = RedirectResponse("/login", 303)
    cookies.remove(request, answer, cookies.WALL)
    if secret:
        actor = _actor(request, viewer.name if viewer else "")
        await city_of(request).desk.write(lambda db: sessions.end(db, secret, actor))
        cookies.remove(request, answer, cookies.SESSION)
    return answer


def _actor(request: Request, name: str) -> Actor:
    return Actor(name, request.state.address, round(time.time() * 1000))


ROUTES = [
    Route("/login", _show),
    Route("/login", _log_in, methods=["POST"]),
    Route("/logout", _ask),
    Route("/logout", _log_out, methods=["POST"]),
]
