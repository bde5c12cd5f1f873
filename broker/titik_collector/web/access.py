"""Who looks: each request is somebody's, or it is answered with the login.

Rule: what needs no login is listed here; everything else does, also what is not there.
Rule: who is no operator changes nothing, and nobody does so from another site's page.
"""

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from titik_collector.accounts import no_login, sessions, tokens, users
from titik_collector.accounts.client_address import client_address, is_trusted
from titik_collector.accounts.no_login import Facts, Setup
from titik_collector.accounts.viewer import ANYBODY as ANYBODY
from titik_collector.accounts.viewer import Viewer as Viewer
from titik_collector.config.model import Config
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_REQUEST_HEAD
from titik_collector.store import desk_accounts
from titik_collector.store.database import Database
from titik_collector.store.desk_accounts import Account
from titik_collector.web import cookies, error_pages, forms
from titik_collector.web.desk import Desk, NoDesk

# Without a login. What changes something is safe to offer there: see `pages/login_page`.
OPEN = ("/login", "/logout", "/healthz")
OPEN_FOLDERS = ("/static/", "/public/")
WALL = "/wall"  # a screen has no keyboard, so its token may be in the address
# Where its cookie counts: whoever tries the address before the screen hangs stays who they are.
OF_WALL = (WALL, "/events", "/basemap")
PROGRAMS = ("/api/", "/events", "/metrics")  # what is asked by a program gets no login page
READING = ("GET", "HEAD", "OPTIONS")
AGAIN_S = 5.0  # a stream's viewer is looked for again so often
YEAR_S = 31_536_000
NO_ACCESS = marked("You are logged in at the proxy, and have no access to this page.")


class WhoLooks:
    """Says of each request who looks, and lets through who may."""

    def __init__(self, app: ASGIApp, config: Config, desk: Desk) -> None:
        self._app = app
        self._config = config
        self._desk = desk
        web = config.web
        self._setup = Setup(web.host, web.url, web.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the viewer into the request's state, or answer with the login."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if head_bytes(scope) > MAX_REQUEST_HEAD:
            # h11 bounds a head that comes in parts; one that comes at once may be longer.
            await PlainTextResponse("the head of this request is too long", 431)(
                scope, receive, send
            )
            return
        request = Request(scope, receive)
        try:
            viewer = await self._viewer(request)
            request.state.viewer = viewer
            request.state.address = address_of(request, self._config)
            self._check_change(request, viewer)
        except NoDesk as error:
            request.state.viewer = None
            answer = await error_pages.no_desk(request, error)
            await answer(scope, receive, send)
        except HTTPException as error:
            request.state.viewer = None
            answer = await error_pages.http(request, error)
            await answer(scope, receive, send)
        else:
            if viewer is None and not is_open(scope["path"]):
                answer = login(request)
                await answer(scope, receive, send)
                return
            await self._app(scope, receive, self._watched(request, send))

    async def _viewer(self, request: Request) -> Viewer | None:
        """By proxy, token or session; else whoever needs no login."""
        self._check_host(request)
        for way in (self._by_proxy, self._by_token, self._by_session, self._by_wall):
            if (viewer := await way(request)) is not None:
                return viewer
        if is_untouched(self._setup, request) and not await self._desk.ask(
            desk_accounts.are_any, False
        ):
            return ANYBODY
        return None

    async def _by_proxy(self, request: Request) -> Viewer | None:
        """The user that a trusted proxy names; two names are none."""
        header = self._config.web.identity_header
        if header is None or not is_trusted(peer_of(request), self._config.web.trusted_proxies):
            return None
        found = [one.strip().lower() for one in request.headers.getlist(header) if one.strip()]
        if not found:
            return None
        name = found[0] if len(found) == 1 else ""
        account = await self._desk.ask(lambda db: desk_accounts.find(db, name), None)
        if account is None or not users.is_open(account, _now_ms()):
            raise HTTPException(403, NO_ACCESS)
        return _viewer_of(account)

    async def _by_token(self, request: Request) -> Viewer | None:
        return await self._of_token(bearer_of(request.headers))

    async def _by_wall(self, request: Request) -> Viewer | None:
        return await self._of_token(wall_token_of(request))

    async def _of_token(self, secret: str | None) -> Viewer | None:
        if secret is None:
            return None
        token = await self._desk.ask(lambda db: tokens.find(db, secret), None)
        return None if token is None else Viewer(token.name, token.role)

    async def _by_session(self, request: Request) -> Viewer | None:
        secret = cookies.get(request, cookies.SESSION)
        if not secret:
            return None

        def look(db: Database) -> Account | None:
            return sessions.find(db, secret, _now_ms())

        account = await self._desk.ask(look, None)
        return None if account is None else _viewer_of(account)

    def _check_host(self, request: Request) -> None:
        """Where the page has an url, nobody reaches it by another name."""
        url, host = self._config.web.url, request.headers.get("host", "")
        if url is None or host == url.partition("://")[2] or no_login.is_loopback_host(host):
            return
        raise HTTPException(421, marked("This page has another address."))

    def _check_change(self, request: Request, viewer: Viewer | None) -> None:
        if request.method in READING or is_open(request.url.path):
            return  # a form that is open to all checks itself
        if viewer is not None and bearer_of(request.headers) is None:
            forms.check_origin(request)
        if viewer is not None and viewer.role != "operator":
            raise HTTPException(403, marked("Only an operator may change something."))

    def _watched(self, request: Request, send: Send) -> Send:
        """A stream ends when its viewer's access has ended; a wall keeps its token."""
        next_s = time.monotonic() + AGAIN_S
        is_over = False
        token = request.query_params.get("token") if request.url.path == WALL else None

        async def watched(message: Message) -> None:
            nonlocal next_s, is_over
            if is_over:
                return
            if message["type"] == "http.response.start":
                keep_private(request, MutableHeaders(scope=message))
                if token:
                    keep = Response()
                    cookies.put(request, keep, cookies.WALL, token, YEAR_S)
                    message["headers"] += [
                        one for one in keep.raw_headers if one[0] == b"set-cookie"
                    ]
            if time.monotonic() >= next_s and message.get("more_body"):
                next_s = time.monotonic() + AGAIN_S
                if not await self._may_still_look(request):
                    is_over = True
                    message = {"type": "http.response.body", "body": b"", "more_body": False}
            await send(message)

        return watched

    async def _may_still_look(self, request: Request) -> bool:
        try:
            return await self._viewer(request) is not None
        except (NoDesk, HTTPException):
            return False


def keep_private(request: Request, headers: MutableHeaders) -> None:
    """No cache between us keeps for others what somebody sees who had to log in."""
    kept, viewer = headers.get("cache-control"), request.state.viewer
    if (
        kept is None
        or viewer is None
        or not viewer.name
        or request.url.path.startswith(OPEN_FOLDERS)
    ):
        return
    if "no-store" not in kept:
        headers["cache-control"] = (
            f"private, {kept.replace('public, ', '').replace('private, ', '')}"
        )


def head_bytes(scope: Scope) -> int:
    """How long the head of a request is, without its blanks and colons."""
    parts = [
        scope["raw_path"],
        scope["query_string"],
        *(part for one in scope["headers"] for part in one),
    ]
    return sum(map(len, parts))


def login(request: Request) -> Response:
    """What somebody gets who has to log in first: the form, or for a program the reason."""
    challenge = {"WWW-Authenticate": 'Bearer realm="titik"'}
    request.state.viewer = None
    if request.method not in READING or request.url.path.startswith(PROGRAMS):
        answer: Response = error_pages.problem(
            401, "Log in", "This needs a session, or a token: Authorization: Bearer TOKEN."
        )
    else:
        path = request.url.path
        query = f"?{request.url.query}" if request.url.query else ""
        answer = forms.render_form(
            request, "login.html", 401, next=path + query, name="", wrong=None
        )
    answer.headers.update(challenge)
    return answer


def is_open(path: str) -> bool:
    """Whether it needs no login."""
    return path in OPEN or path.startswith(OPEN_FOLDERS)


def is_untouched(setup: Setup, request: Request) -> bool:
    """All of the rule of `no_login` but whether there are users."""
    headers = request.headers
    closes = headers.get("connection", "").lower() == "close"
    facts = Facts(headers.get("host"), headers, request.scope.get("http_version", ""), closes)
    return no_login.needs_no_login(setup, facts, has_users=False)


def peer_of(request: Request) -> str:
    """The address that the connection comes from."""
    return request.client.host if request.client else ""


def address_of(request: Request, config: Config) -> str:
    """The visitor's, as far as trusted proxies say it."""
    lines = request.headers.getlist("x-forwarded-for")
    return client_address(peer_of(request), lines, config.web.trusted_proxies)


def bearer_of(headers: Headers) -> str | None:
    """The token of a program."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def wall_token_of(request: Request) -> str | None:
    """It is in the wall's address first, and in a cookie from then on."""
    path = request.scope["path"]
    if not path.startswith(OF_WALL):
        return None
    in_address = request.query_params.get("token") if path == WALL else None
    return in_address or cookies.get(request, cookies.WALL)


def _viewer_of(account: Account) -> Viewer:
    return Viewer(account.name, account.role, account.language)


def _now_ms() -> int:
    return round(time.time() * 1000)
