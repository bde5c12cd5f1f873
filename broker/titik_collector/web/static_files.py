"""The files that pages are drawn with, in memory, each raw and compressed.

Rule: their address holds a hash over all of them, so a browser keeps them for a year.
Rule: an address is looked up in a table; no path of a request ever reaches the disk.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HASH_CHARS = 8
FOR_EVER = "public, max-age=31536000, immutable"
KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file."""

    content: bytes
    packed: bytes
    kind: str  # its media type


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """All of them, by their path below `static`."""

    hash: str
    files: dict[str, StaticFile]

    def address(self, path: str) -> str:
        """Where a browser gets the file; KeyError if there is none."""
        if path not in self.files:
            raise KeyError(path)
        return f"/static/{self.hash}/{path}"


@cache
def static_files() -> StaticFiles:
    """Read from the package once."""
    reports = resources.files("titik_collector.reports") / "assets"
    found = dict(sorted(_below(resources.files("titik_collector.web") / "static", "")))
    found |= sorted(_below(reports, "reports/"))
    whole = hashlib.sha256()
    for path, content in found.items():
        whole.update(f"{path}\0{len(content)}\0".encode() + content)
    return StaticFiles(
        whole.hexdigest()[:HASH_CHARS],
        {
            path: StaticFile(content, gzip.compress(content, 9, mtime=0), _kind(path))
            for path, content in found.items()
        },
    )


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for one in folder.iterdir():
        if one.is_dir():
            yield from _below(one, f"{path}{one.name}/")
        else:
            yield f"{path}{one.name}", one.read_bytes()


def _kind(path: str) -> str:
    return KINDS.get(path.rpartition(".")[2], "text/plain")


async def _serve(request: Request) -> Response:
    """A file; one of another version is the one that we have, and is not kept."""
    known = static_files()
    file = known.files.get(request.path_params["path"])
    if file is None:
        raise HTTPException(404)
    kept = FOR_EVER if request.path_params["hash"] == known.hash else "no-cache"
    headers = {"Cache-Control": kept, "Vary": "Accept-Encoding"}
    content = file.content
    if "gzip" in request.headers.get("accept-encoding", "") and len(file.packed) < len(content):
        content, headers["Content-Encoding"] = file.packed, "gzip"
    return Response(content, media_type=file.kind, headers=headers)


ROUTES = [Route("/static/{hash}/{path:path}", _serve)]
