"""`/router/NAME`: one router, for whoever repairs it; `/router/NAME/check`: what it says of itself.

Rule: only an operator asks a router, or reads what it answered.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.desk import questions
from titik_collector.desk.checks import DeskError
from titik_collector.languages.codes import marked
from titik_collector.queries import looks
from titik_collector.queries.looks import RouterLook
from titik_collector.queries.status import RouterStatus
from titik_collector.store import desk_questions, router_answers
from titik_collector.web import entering, forms
from titik_collector.web.desk import now_ms
from titik_collector.web.forms import render_for_change
from titik_collector.web.place_past import place_past
from titik_collector.web.planned import work_shown
from titik_collector.web.rendering import city_of

OPERATORS = marked("Only an operator may check a router from here.")


async def _router(request: Request) -> Response:
    view, router = city_of(request), _find(request)
    past = await place_past(view, "router", router.name, {router.name})
    work = work_shown(request, AlertSubject("router", router.name))
    return render_for_change(
        request, "router.html", router=router, sample=router.sample, **work, **past
    )


async def _check(request: Request) -> Response:
    return await _checked(request)


async def _ask(request: Request) -> Response:
    await forms.read(request)
    name, actor = _find(request).name, entering.actor_of(request)
    view = city_of(request)
    ended = await view.ask(router_answers.ended)
    try:
        await view.desk.enter(lambda db: questions.ask(db, name, actor, ended))
    except DeskError as error:
        return await _checked(request, error.text, 400)
    return RedirectResponse(f"/router/{name}/check", 303)


async def _checked(request: Request, wrong: str | None = None, status: int = 200) -> Response:
    if not forms.may_change(request):
        raise HTTPException(403, OPERATORS)
    view, router = city_of(request), _find(request)
    nothing: AskedQuestion | None = None
    asked = await view.desk.ask(lambda db: desk_questions.of_router(db, router.name), nothing)
    found: RouterLook | None = None
    if asked is not None:
        found = await view.ask(lambda db: looks.look(db, asked, now_ms()))
    old_ms = None if found is None else found.age_ms(now_ms())
    left_ms = 0 if asked is None else questions.again_ms(asked, now_ms())
    return forms.render_form(
        request, "router_check.html", status,
        wrong=wrong, router=router, found=found, why=looks.WORDS,
        old_s=None if old_ms is None else old_ms // 1000, left_s=-(-left_ms // 1000),
    )  # fmt: skip


def _find(request: Request) -> RouterStatus:
    """The router of the address."""
    name = request.path_params["name"]
    routers = city_of(request).snapshot.status.routers()
    router = next((one for one in routers if one.name == name), None)
    if router is None:
        raise HTTPException(404)
    return router


ROUTES = [
    Route("/router/{name}", _router),
    Route("/router/{name}/check", _check),
    Route("/router/{name}/check", _ask, methods=["POST"]),
]
