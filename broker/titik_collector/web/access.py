"""Who looks: the viewer that a request comes from."""

from dataclasses import dataclass
from typing import Literal

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who may look."""

    name: str  # empty: not logged in
    role: Literal["viewer", "operator"]
    language: str | None = None  # that the user prefers


ANYBODY = Viewer("", "viewer")


class WhoLooks:
    """Says of each request who looks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the viewer into the request's state."""
        if scope["type"] == "http":
            scope.setdefault("state", {})["viewer"] = ANYBODY
        await self._app(scope, receive, send)
