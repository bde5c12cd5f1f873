"""The API as an OpenAPI 3.1 document, for programs and for those who write them."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from titik_collector.web.api import alert_api, event_api, history_api, now_api, shapes
from titik_collector.web.api.answers import ProblemAnswer
from titik_collector.web.api.api_route import BASE, ApiRoute
from titik_collector.web.api.parameters import Parameter
from titik_collector.web.api.replying import CSV, JSON, reply

KEEP_S = 3600
OFFERED: Sequence[ApiRoute] = (
    *now_api.OFFERED, *history_api.OFFERED, *event_api.OFFERED, *alert_api.OFFERED,
)  # fmt: skip
ALL: Sequence[ApiRoute] = (*OFFERED, *alert_api.OF_ALERTS)
ERRORS = {
    400: "A parameter is wrong; `field` names it, and `detail` says what to do",
    401: "Log in, or send a token",
    403: "Only an operator may change something",
    404: "There is no such router, site, incident or address",
    413: "More than is answered or taken at once; `next` is an address of the first part",
    415: "Send JSON",
    503: "The city cannot be read now; try again after `Retry-After` seconds",
}


SAME = {"304": {"description": "The answer is still the one that `If-None-Match` names"}}


async def _document(request: Request) -> Response:
    return reply(request, text().encode(), KEEP_S)


@cache
def text() -> str:
    """As it is checked in, and served."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """https://spec.openapis.org/oas/v3.1.1."""
    answers = [one for offered in ALL for one in offered.answers]
    entries = [one.entry for one in ALL if one.entry is not None]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Titik",
            "version": "1",
            "description": (
                "Client counts and throughput of a city's public Wi-Fi, now and in the past."
                " Absent means not known; null stands for it in lists; 0 means zero. Times are"
                " UTC, and hours and days are of the city's time zone. Fields are only added:"
                " a program ignores those that it does not know."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {f"{BASE}{one.path}": {one.verb.lower(): _operation(one)} for one in ALL},
        "components": {"schemas": shapes.components([*answers, *entries, ProblemAnswer])},
    }


def _operation(one: ApiRoute) -> dict[str, Any]:
    references = [{"$ref": shapes.REFERENCE + cls.__name__} for cls in one.answers]
    schema = references[0] if len(references) == 1 else {"anyOf": references}
    content: dict[str, Any] = {one.media: {"schema": schema}}
    if one.is_csv_too:
        content[CSV.partition(";")[0]] = {"schema": {"type": "string"}}
    return {
        "operationId": one.name,
        "summary": one.summary,
        **({"parameters": [_parameter(each) for each in one.parameters]} if one.parameters else {}),
        **({} if one.entry is None else {"requestBody": _body(one.entry)}),
        "responses": {
            "200" if one.entry is None else "201": {"description": one.summary, "content": content},
            **(SAME if one.verb == "GET" else {}),
            **{str(status): _problem(status) for status in one.errors},
        },
    }


def _body(entry: type[Any]) -> dict[str, Any]:
    schema = {"$ref": shapes.REFERENCE + entry.__name__}
    return {"required": True, "content": {JSON: {"schema": schema}}}


def _parameter(one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": one.where,
        "required": one.where == "path",
        "description": one.text,
        "schema": dict(one.schema),
        **({"example": one.example} if one.example else {}),
    }


def _problem(status: int) -> dict[str, Any]:
    content = {
        "application/problem+json": {
            "schema": {"$ref": f"{shapes.REFERENCE}{ProblemAnswer.__name__}"}
        }
    }
    return {"description": ERRORS[status], "content": content}


ROUTES = [
    Route(f"{BASE}/openapi.json", _document, methods=["GET"]),
    *(one.route() for one in ALL),
]
