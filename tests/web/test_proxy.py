"""Debian's nginx before the page: it finds no way around the login, and it can name users."""

import http.server
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port
from tests.until import PATIENCE_S, until
from tests.web.conftest import serving_at
from tests.web.people import PASSWORD, add_user, form_token
from titik_collector.config.model import Config
from titik_collector.store import desk_audit, desk_opening
from titik_collector.web.city_view import CityView

pytestmark = pytest.mark.system
PARAMS = Path("/etc/nginx/proxy_params").read_text()  # as Debian has it
MANUAL = (Path(__file__).parents[2] / "docs" / "web.md").read_text()
PLAIN, OF_OTHERS = re.findall(r"```\n(location .*?)```", MANUAL, re.S)
PAGE, OAUTH = "http://127.0.0.1:8088", "http://127.0.0.1:4180"  # as the manual has them
NGINX = """
daemon off; master_process off; worker_processes 1; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {inside}
  }}
}}
"""
# What the page's recipe has; the name stands for what a program that logs people in sets.
NAMED = PARAMS + "proxy_set_header X-Forwarded-User budi;"


@contextmanager
def nginx(folder: Path, inside: str) -> Iterator[str]:
    """It runs with these lines in its `server`; its address."""
    port, conf = free_port(), folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, port=port, inside=inside))
    path = f"{os.environ['PATH']}:/usr/sbin"
    running = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(folder)], env={"PATH": path})
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait()


Behind = Callable[..., httpx.Client]


@pytest.fixture
def behind(untouched: CityView, tmp_path: Path) -> Iterator[Behind]:
    """A browser that reaches the page through nginx, with these lines in its `location`.

    Or with locations of their own, as the manual has them.
    """
    with ExitStack() as stack:

        def of(more: str, **web: object) -> httpx.Client:
            untouched.config = replace(untouched.config, web=replace(untouched.config.web, **web))  # type: ignore[arg-type]
            page = stack.enter_context(serving_at(untouched))
            inside = more.replace(PAGE, page).replace("include proxy_params;", PARAMS)
            if "location" not in inside:
                inside = f"location / {{ proxy_pass {page}; {inside} }}"
            address = stack.enter_context(nginx(tmp_path, inside))
            browser = stack.enter_context(httpx.Client(base_url=address, timeout=60))
            assert until(lambda: answers(browser), True), (tmp_path / "error.log").read_text()
            return browser

        yield of


def answers(browser: httpx.Client) -> bool:
    """Whether nginx is up."""
    try:
        return browser.get("/healthz").status_code < 500 or True
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "more",
    ["", "proxy_http_version 1.1;", PARAMS, "proxy_set_header Host $http_host;"],
    ids=["bare", "http 1.1", "Debian's params", "the visitor's host"],
)
def test_nginx_before_the_default_set_up_gets_the_login(behind: Behind, more: str) -> None:
    """Whatever of its lines somebody copied: nobody in the world is taken for this machine."""
    browser = behind(more)
    answer = browser.get("/")
    assert 401 == answer.status_code
    assert 'type="password"' in answer.text
    assert 401 == browser.get("/api/v1/now").status_code
    assert 401 == browser.get("/", headers={"Host": "titik.example.org"}).status_code


def test_people_log_in_through_nginx(behind: Behind, config: Config) -> None:
    """With the recipe of the page on proxies; the audit has their own address."""
    add_user(config)
    browser = behind(PLAIN, url="http://titik.example.org", trusted_proxies=("127.0.0.1/32",))
    headers = {"Host": "titik.example.org", "Origin": "http://titik.example.org"}
    form = browser.get("/login", headers=headers)
    fields = {"name": "budi", "password": PASSWORD, "form": form_token(form)}
    cookies = "; ".join(f"{one.name}={one.value}" for one in form.cookies.jar)
    done = browser.post("/login", data=fields, headers={**headers, "Cookie": cookies})
    assert 303 == done.status_code
    session = done.headers["set-cookie"].partition(";")[0]
    assert 200 == browser.get("/", headers={**headers, "Cookie": session}).status_code
    with desk_opening.opened(config.page_store) as db:
        assert "127.0.0.1" == desk_audit.newest(db, 1)[0].address


def test_nginx_names_the_user(behind: Behind, config: Config) -> None:
    """What a visitor sends under that name is replaced."""
    add_user(config)
    named = {"identity_header": "X-Forwarded-User", "trusted_proxies": ("127.0.0.1/32",)}
    browser = behind(NAMED, **named)
    for sent in ({}, {"X-Forwarded-User": "nobody"}):
        answer = browser.get("/?lang=en", headers=sent)
        assert 200 == answer.status_code
        assert "Log out budi" in answer.text


def test_a_header_is_not_believed_where_nginx_is_not_trusted(
    behind: Behind, config: Config
) -> None:
    """Or where another address is."""
    add_user(config)
    browser = behind(NAMED, identity_header="X-Forwarded-User", trusted_proxies=("192.0.2.1/32",))
    assert 401 == browser.get("/").status_code


class Login(http.server.BaseHTTPRequestHandler):
    """Stands for oauth2-proxy: whoever has its cookie is logged in as budi@example.org."""

    def do_GET(self) -> None:
        """Who somebody is, or the form."""
        if self.path != "/oauth2/auth":
            self._answer(200, b"go back to " + self.headers["X-Auth-Request-Redirect"].encode())
        elif "in=1" in self.headers.get("Cookie", ""):
            self._answer(202, b"", **{"X-Auth-Request-Email": "budi@example.org"})
        else:
            self._answer(401, b"")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not among the tests' output."""


@pytest.fixture
def by_login(behind: Behind, config: Config) -> Iterator[httpx.Client]:
    """A browser behind the manual's recipe for oauth2-proxy; budi@example.org is a user."""
    add_user(config, "budi@example.org")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Login) as server:
        threading.Thread(target=server.serve_forever).start()
        lines = OF_OTHERS.replace(OAUTH, f"http://127.0.0.1:{server.server_port}")
        browser = behind(
            lines,
            url="http://titik.example.org",
            identity_header="X-Forwarded-User",
            trusted_proxies=("127.0.0.1/32",),
        )
        browser.headers["Host"] = "titik.example.org"
        yield browser
        server.shutdown()


def test_who_is_not_logged_in_gets_the_form_of_the_other_system(by_login: httpx.Client) -> None:
    """With 401, which an open page understands; the form knows where to go on."""
    answer = by_login.get("/happened?days=7", headers={"X-Forwarded-User": "budi@example.org"})
    assert (401, "go back to /happened?days=7") == (answer.status_code, answer.text)
    assert 200 == by_login.get("/oauth2/sign_in").status_code


def test_who_is_logged_in_elsewhere_looks_by_that_name(by_login: httpx.Client) -> None:
    """Whatever name the browser sends."""
    by_login.headers["Cookie"] = "in=1"
    for sent in ({}, {"X-Forwarded-User": "root"}):
        answer = by_login.get("/?lang=en", headers=sent)
        assert 200 == answer.status_code
        assert "Log out budi@example.org" in answer.text


def test_live_figures_come_through_the_recipe(by_login: httpx.Client) -> None:
    """As they are made: what is buffered would come when the stream is over, which it never is."""
    headers = {"Cookie": "in=1"}
    with by_login.stream("GET", "/events", headers=headers, timeout=PATIENCE_S) as stream:
        beats = (line for line in stream.iter_lines() if line == "event: health")
        assert 3 == len([next(beats) for _ in range(3)])
