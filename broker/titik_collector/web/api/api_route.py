"""One address of the API, with all that its document says of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web.api import parameters
from titik_collector.web.api.parameters import Parameter
from titik_collector.web.api.replying import JSON

BASE = "/api/v1"
Handle = Callable[[Request], Awaitable[Response]]
NUMBER = Parameter("number", "its number", "1", {"type": "integer", "minimum": 1}, where="path")
SLUG = Parameter("name", "name of the site or router; of the city, its own or `city`", where="path")


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """What is asked here, and what is answered."""

    path: str  # below BASE
    name: str  # of the operation
    summary: str
    answers: tuple[type[Any], ...]  # one of them, as JSON
    handle: Handle
    parameters: tuple[Parameter, ...] = ()
    media: str = JSON
    is_csv_too: bool = False
    errors: tuple[int, ...] = (400, 401, 503)
    entry: type[Any] | None = None  # what is sent, as JSON
    method: Literal["GET", "POST"] = "GET"

    @property
    def verb(self) -> Literal["GET", "POST"]:
        """Whoever sends something posts it."""
        return self.method if self.entry is None else "POST"

    def route(self) -> Route:
        """It answers where its parameters can be."""

        async def checked(request: Request) -> Response:
            parameters.check(request, self.parameters)
            return await self.handle(request)

        path = self.path.replace("{number}", "{number:int}")
        return Route(f"{BASE}{path}", checked, methods=[self.verb], name=self.name)
