"""The folder of the public page, served at `/public/` where a city has no other web server.

Rule: what the export writes was made for everybody, so it needs no login. Nothing else is served
so: no file of another name, wherever the folder is, and nothing that a link leads to.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from titik_collector.web import headers, public_names

PATH = "/public"
# Anybody may show its badges, and its pages in a frame: there is no cookie and no form in them. A
# cache may keep it for as long as it takes to write it again.
HEADERS = (
    (b"content-security-policy", headers.policy(frame_ancestors="*").encode()),
    (b"cache-control", b"public, max-age=60"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)


def routes(directory: Path | None) -> list[BaseRoute]:
    """None without a public page."""
    if directory is None:
        return []
    return [Mount(PATH, PublicFolder(PublicFiles(directory=directory, html=True, check_dir=False)))]


class PublicFiles(StaticFiles):
    """The files of a public page, by their names."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Nothing else is there, nor a file that cannot be read."""
        path = os.path.normpath(path)
        if path not in (".", *public_names.FOLDERS) and not public_names.is_page(path):
            return "", None
        assert self.directory is not None
        there = os.path.normpath(os.path.join(os.path.realpath(self.directory), path))
        try:
            full_path, found = super().lookup_path(path)
        except OSError:
            return "", None
        return (full_path, found) if full_path == there else ("", None)

    async def check_config(self) -> None:
        """Before the first export there is no folder, so nothing is found."""


class PublicFolder:
    """Adds the headers of a public file, and keeps redirects at the host that was asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in (200, 206, 304):
                    message["headers"] = [*message["headers"], *HEADERS]
                sent = MutableHeaders(scope=message)
                if "location" in sent:
                    sent["location"] = urlsplit(sent["location"]).path
            await send(message)

        await self._app(scope, receive, send_with)
