"""Our cookies: only for this host, only for the server, never with another site's request."""

from starlette.requests import Request
from starlette.responses import Response

SESSION, FORM, WALL = "titik", "titik-form", "titik-wall"


def is_secure(request: Request) -> bool:
    """Whether people reach the page by HTTPS, here or at a proxy."""
    url: str | None = request.app.state.city.config.web.url
    return (url or f"{request.url.scheme}:").startswith("https:")


def get(request: Request, cookie: str) -> str | None:
    """Its value; one without the prefix is not ours where the page has HTTPS."""
    return request.cookies.get(_name(request, cookie))


def put(request: Request, answer: Response, cookie: str, value: str, seconds: int) -> None:
    """Have the browser keep it."""
    answer.set_cookie(
        _name(request, cookie),
        value,
        seconds,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )


def remove(request: Request, answer: Response, cookie: str) -> None:
    """Have the browser forget it."""
    put(request, answer, cookie, "", 0)


def _name(request: Request, cookie: str) -> str:
    """With `__Host-` a browser takes it from this host and over HTTPS alone."""
    return f"__Host-{cookie}" if is_secure(request) else cookie
