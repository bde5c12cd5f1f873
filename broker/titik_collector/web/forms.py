"""Forms: what a browser sends counts only if a page of ours had it sent.

Rule: the request comes from our own address, and carries the token that the page was given.
"""

import asyncio
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from titik_collector.accounts.hashing import are_equal, hash_secret, new_secret
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_FIELDS, MAX_FORM
from titik_collector.web import cookies
from titik_collector.web.rendering import render

TOKEN = "form"  # the field's name
DAY_S = 86_400
BODY_S = 10.0  # for the whole form, as for a head
FOREIGN = marked("This form does not come from this page. Open the page again.")
NO_TOKEN = "A program changes something only with a token: Authorization: Bearer TOKEN."


def render_form(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page with a form, and the cookie that its token belongs to."""
    known = cookies.get(request, cookies.FORM)
    secret = known or new_secret()
    answer = render(request, template, status, form_token=_token(request, secret), **values)
    if known is None:
        cookies.put(request, answer, cookies.FORM, secret, DAY_S)
    return answer


def render_for_change(
    request: Request, template: str, status: int = 200, **values: Any
) -> Response:
    """The same for an operator; who only looks gets the page without its forms."""
    if may_change(request):
        return render_form(request, template, status, **values)
    return render(request, template, status, form_token=None, **values)


def may_change(request: Request) -> bool:
    """Whether who looks may change something."""
    viewer = request.state.viewer
    return viewer is not None and viewer.role == "operator"


async def read(request: Request) -> dict[str, str]:
    """The fields of a form of ours; HTTPException 403 if it is another's, 408 late, 413 long."""
    check_origin(request)
    fields = _fields(await body_of(request))
    secret = cookies.get(request, cookies.FORM)
    if secret is None or not are_equal(fields.get(TOKEN, ""), _token(request, secret)):
        raise HTTPException(403, FOREIGN)
    return fields


def check_origin(request: Request) -> None:
    """HTTPException 403 if a page of another site made the browser send this, or no page did."""
    origin = request.headers.get("origin")
    if origin is None:
        is_ours = request.headers.get("sec-fetch-site") == "same-origin"
    else:
        url: str | None = request.app.state.city.config.web.url
        is_ours = origin == url or urlsplit(origin).netloc == request.headers.get("host")
    if not is_ours:
        raise HTTPException(403, NO_TOKEN if request.url.path.startswith("/api/") else FOREIGN)


def local_path(text: str) -> str:
    """Where to go on after a login: a path of this page, else its first one."""
    is_local = text.startswith("/") and text[1:2] not in ("/", "\\") and text.isprintable()
    return text if is_local and "\\" not in text else "/"


def _token(request: Request, secret: str) -> str:
    """Of this browser, and of its session if it has one."""
    session = cookies.get(request, cookies.SESSION) or ""
    return hash_secret(f"{secret} {session}").hex()


async def body_of(request: Request) -> bytes:
    """All that a request has; HTTPException 408 late, 413 long."""
    try:
        async with asyncio.timeout(BODY_S):
            return await _whole(request)
    except TimeoutError:
        raise HTTPException(408, marked("This form took too long. Send it again.")) from None


async def _whole(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            raise HTTPException(413, marked("This is too long."))
    return body


def _fields(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:  # UnicodeDecodeError is one
        raise HTTPException(400, FOREIGN) from error
