"""How answers go out: the tag by which a program asks whether there is another, and how long it
may keep what it has.

Rule: an answer is for who asked, so no cache between may keep it for others.
"""

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from titik_collector.languages.codes import CODES
from titik_collector.languages.language import Language, accepted, language

JSON = "application/json"
CSV = "text/csv; charset=utf-8"
VARY = "Accept, Accept-Language, Cookie"
GEOJSON = "application/geo+json"


def reply(
    request: Request, body: bytes, keep_s: int, media: str = JSON, **headers: str
) -> Response:
    """The answer; or that it is the one which the program has."""
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
    keep = f"private, max-age={keep_s}" if keep_s else "no-store"
    headers = {"ETag": tag, "Cache-Control": keep, "Vary": VARY, **headers}
    if tag in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media, headers=headers)


def _tags(header: str) -> list[str]:
    return [one.strip() for one in header.split(",")]


def language_of(request: Request) -> Language:
    """Of the words in an answer: `lang`, then Accept-Language, else English."""
    wanted = request.query_params.get("lang")
    code = wanted if wanted in CODES else accepted(request.headers.get("accept-language", ""))
    return language(code or "en")


def wants_csv(request: Request) -> bool:
    """By its Accept header; a browser's, which takes everything, means JSON."""
    accepted = request.headers.get("accept", "").lower()
    return "text/csv" in accepted and "json" not in accepted.partition("text/csv")[0]
