"""What a visitor reads where a page cannot be shown: what failed, and what to do."""

import logging
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from titik_collector.languages.codes import marked
from titik_collector.web.city_view import Unanswered
from titik_collector.web.desk import NoDesk
from titik_collector.web.rendering import render

log = logging.getLogger(__name__)
RETRY_S = 5


class BadQuery(Exception):
    """A value of the address that cannot be, with its field and what is allowed.

    `spoken` is what a page says of it; without it, what a program gets.
    """

    status = 400
    title = marked("The address is not right")

    def __init__(
        self, field: str, wrong: str, allowed: str, spoken: str | None = None, **more: str
    ) -> None:
        super().__init__(f"{field}: {wrong}; {allowed}")
        self.spoken = spoken or str(self)
        self.more = {"field": field, **more}


class NotThere(BadQuery):
    """A name that no router or site ever had."""

    status = 404
    title = marked("Not found")


class TooMuch(BadQuery):
    """More than is answered at once; `next` is the address of a first part."""

    status = 413
    title = marked("This is too much at once")


def chosen_of(field: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    """The value; BadQuery if it is given and none of these."""
    if value is not None and value not in allowed:
        raise BadQuery(field, f"{value!r} is none of them", f"allowed: {', '.join(allowed)}")
    return value


def problem(status: int, title: str, detail: str, **more: str) -> JSONResponse:
    """An error for programs, as RFC 9457 has it."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, media_type="application/problem+json")


def _is_program(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _answer(request: Request, status: int, title: str, detail: str, **more: str) -> Response:
    if _is_program(request):
        return problem(status, title, detail, **more)
    return render(request, "error.html", status, title=title, detail=detail, number=more.get("id"))


async def http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _answer(request, 404, marked("Not found"), marked("There is no such page."))
    answer = _answer(request, error.status_code, error.detail, error.detail)
    answer.headers.update(error.headers or {})  # such as Allow
    return answer


async def _bad_query(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadQuery)
    detail = str(error) if _is_program(request) else error.spoken
    return _answer(request, error.status, error.title, detail, **error.more)


async def _unanswered(request: Request, error: Exception) -> Response:
    assert isinstance(error, Unanswered)
    answer = _answer(request, 503, error.title, error.args[0])
    answer.headers["Retry-After"] = str(error.again_s)
    return answer


async def no_desk(request: Request, error: Exception) -> Response:
    """Who is not logged in yet reads it too, so the reason is in the log alone."""
    log.warning("the desk cannot be read reason=%s", error)
    title = marked("Nobody can log in now")
    answer = _answer(request, 503, title, marked("The log of the server has the rest."))
    answer.headers["Retry-After"] = str(RETRY_S)
    return answer


async def _bug(request: Request, error: Exception) -> Response:
    """The number is in the log too, so that whoever reports it can be helped."""
    number = secrets.token_hex(4)
    log.error("a bug stops a page path=%s number=%s", request.url.path, number, exc_info=error)
    title, detail = (
        marked("Something is broken here"),
        marked("The log of the server has the rest."),
    )
    return _answer(request, 500, title, detail, id=number)


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    HTTPException: http,
    BadQuery: _bad_query,
    NoDesk: no_desk,
    Unanswered: _unanswered,
    Exception: _bug,
}
