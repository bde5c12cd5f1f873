"""Debian's nginx before the page: it finds no way around the login, and it can name users."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port
from tests.until import until
from tests.web.conftest import serving_at
from tests.web.people import PASSWORD, add_user, form_token
from titik_collector.config.model import Config
from titik_collector.store import desk_audit, desk_opening
from titik_collector.web.city_view import CityView

pytestmark = pytest.mark.system
PARAMS = Path("/etc/nginx/proxy_params").read_text()  # as Debian has it
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
    location / {{ proxy_pass {page}; {more} }}
  }}
}}
"""
# What the page's recipe has; the name stands for what a program that logs people in sets.
NAMED = PARAMS + "proxy_set_header X-Forwarded-User budi;"


@contextmanager
def nginx(folder: Path, page: str, more: str) -> Iterator[str]:
    """It runs with a configuration of its own; its address."""
    port, conf = free_port(), folder / "nginx.conf"
    conf.write_text(NGINX.format(folder=folder, port=port, page=page, more=more))
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
    """A browser that reaches the page through nginx, with these lines in its `location`."""
    with ExitStack() as stack:

        def of(more: str, **web: object) -> httpx.Client:
            untouched.config = replace(untouched.config, web=replace(untouched.config.web, **web))  # type: ignore[arg-type]
            page = stack.enter_context(serving_at(untouched))
            address = stack.enter_context(nginx(tmp_path, page, more))
            browser = stack.enter_context(httpx.Client(base_url=address))
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
    browser = behind(PARAMS, url="http://titik.example.org", trusted_proxies=("127.0.0.1/32",))
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
