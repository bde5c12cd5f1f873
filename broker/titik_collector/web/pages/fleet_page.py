"""`/fleet`: which versions routers run, and how far the newest upgrade is.

Rule: only an operator reads it; orders are typed where the city's file is.
"""

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.alerts.desk_facts import RolloutOrder
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_PROBLEMS, MAX_VERSION_LABELS
from titik_collector.queries import rollout_status, server_warnings
from titik_collector.store import desk_rollouts
from titik_collector.store.rollout_rows import RolloutState
from titik_collector.web import forms
from titik_collector.web.rendering import city_of, render

OPERATORS: Final = marked("Only an operator sees upgrades.")
STATES: Final[Mapping[RolloutState, str]] = {
    "runs": marked("It goes on."),
    "paused": marked("Somebody paused it: no other router is asked."),
    "halted": marked("It halted by itself: too many routers failed."),
    "stopped": marked("Somebody stopped it."),
    "over": marked("It is over."),
}
FATES: Final[Mapping[str, str]] = {
    "upgraded": marked("run it"),
    "asked": marked("asked, no answer yet"),
    "refused": marked("refused it"),
    "rolled-back": marked("went back to the old version"),
    "restarts": marked("restart again and again"),
    "silent": marked("not heard since they were asked"),
    "unanswered": marked("do not take it"),
    "away": marked("away"),
    "waiting": marked("not asked yet"),
}


async def _fleet(request: Request) -> Response:
    if not forms.may_change(request):
        raise HTTPException(403, OPERATORS)
    view = city_of(request)
    name, city = view.config.city.name, view.snapshot.status
    nothing: RolloutOrder | None = None
    order = await view.desk.ask(desk_rollouts.newest, nothing)
    found = await view.ask(lambda db: rollout_status.look(db, name))
    shown_below = None if found is None else server_warnings.of_halt(found.row)
    return render(
        request,
        "fleet.html",
        found=found,
        pending=await view.ask(lambda db: rollout_status.pending(db, order)),
        states=STATES,
        fates=FATES,
        versions=city.versions(),
        routers=sum(1 for _ in city.routers()),
        warnings=[
            one.text for one in city.warnings if one.level == "warning" and one.text != shown_below
        ],
        most=MAX_PROBLEMS,
        most_versions=MAX_VERSION_LABELS,
    )


ROUTES = [Route("/fleet", _fleet)]
