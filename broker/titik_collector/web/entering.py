"""What a form and a program have in common when an operator enters something."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from titik_collector.accounts.audit import Actor
from titik_collector.limits import MAX_NUMBER
from titik_collector.web.desk import now_ms


def actor_of(request: Request) -> Actor:
    """Who changes something with this request."""
    return Actor(request.state.viewer.name, request.state.address, now_ms())


def path_number(request: Request) -> int:
    """Of an incident or an entry, in the address; HTTPException 404 if no store can hold it."""
    number: int = request.path_params["number"]
    if number > MAX_NUMBER:
        raise HTTPException(404)
    return number
