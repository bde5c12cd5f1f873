"""Who looks at the page: login, sessions, tokens, and what is refused."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.until import PATIENCE_S, until
from tests.web import cities, loops, people
from tests.web.people import PASSWORD, add_token, add_user, form_token, log_in, remove_user
from titik_collector.accounts import tokens, users
from titik_collector.config.model import Config
from titik_collector.store import desk_audit, desk_opening, server_clock_row
from titik_collector.store.desk_audit import AuditRow
from titik_collector.store.server_clock_row import Known
from titik_collector.web import access, app
from titik_collector.web.city_view import CityView, watching
from titik_collector.web.desk import Desk, NoDesk
from titik_wire.instant import DAY_MS

OURS = "http://127.0.0.1:8088"
Browser = Callable[..., TestClient]


@pytest.fixture
def browser(untouched: CityView) -> Browser:
    """A browser of its own each time it is called, with keys of [web] that differ."""

    def of(address: str = OURS, **web: object) -> TestClient:
        # What the city was opened with stays open; only what the page reads is another.
        untouched.config = replace(untouched.config, web=replace(untouched.config.web, **web))  # type: ignore[arg-type]
        made = app.build(untouched)
        return TestClient(made, address, raise_server_exceptions=False)

    return of


def test_an_untouched_demo_shows_itself_without_a_login(browser: Browser) -> None:
    """To whoever sits at it."""
    assert 200 == browser().get("/").status_code


def test_to_look_makes_no_desk(browser: Browser, config: Config) -> None:
    """The demo stays as it was."""
    browser().get("/")
    assert not desk_opening.exists(config.page_store)


@pytest.mark.parametrize(
    "sign",
    [
        {"Host": "titik.example.org"}, {"X-Forwarded-For": "203.0.113.5"}, {"Via": "1.1 cache"},
        {"X-Real-IP": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}, {"Connection": "close"},
    ],
)  # fmt: skip
def test_a_sign_of_a_proxy_gets_the_login(browser: Browser, sign: dict[str, str]) -> None:
    """Nobody reads the city through a proxy that was just put before the demo."""
    answer = browser().get("/", headers=sign)
    assert 401 == answer.status_code
    assert 'type="password"' in answer.text
    assert "Tirosa" not in answer.text


def test_the_first_user_closes_the_page_at_once(browser: Browser, config: Config) -> None:
    """While it runs."""
    page = browser()
    assert 200 == page.get("/").status_code
    add_user(config)
    assert 401 == page.get("/").status_code


def test_whoever_logs_in_sees_the_city_until_they_log_out(browser: Browser, config: Config) -> None:
    """And goes on where they wanted to."""
    add_user(config)
    page = browser()
    answer = log_in(page, next="/?lang=en")
    assert (303, "/?lang=en") == (answer.status_code, answer.headers["location"])
    assert 200 == page.get("/").status_code
    assert "Log out budi" in page.get("/?lang=en").text
    leaving = page.get("/logout")
    out = page.post(
        "/logout",
        data={"form": form_token(leaving)},
        headers={"Origin": OURS},
        follow_redirects=False,
    )
    assert (303, "/login") == (out.status_code, out.headers["location"])
    assert 401 == page.get("/").status_code


def test_a_session_that_was_logged_out_is_over_for_its_thief(
    browser: Browser, config: Config
) -> None:
    """The cookie alone opens nothing any more."""
    add_user(config)
    page, thief = browser(), browser()
    log_in(page)
    thief.cookies.set("titik", page.cookies["titik"])
    assert 200 == thief.get("/").status_code
    token = form_token(page.get("/logout"))
    page.post("/logout", data={"form": token}, headers={"Origin": OURS})
    assert 401 == thief.get("/").status_code


@pytest.mark.parametrize(
    ("name", "password"),
    [("budi", "wrong password"), ("nobody", PASSWORD), ("ended", PASSWORD), ("budi", "")],
)
def test_the_answer_does_not_show_what_was_wrong(
    browser: Browser, config: Config, name: str, password: str
) -> None:
    """Nobody learns which names there are."""
    add_user(config)
    add_user(config, "ended", end_ms=1)
    page = browser()
    answer = log_in(page, name, password, lang="en")
    assert 401 == answer.status_code
    assert "Nama atau kata sandi salah" in answer.text
    assert "titik" not in page.cookies


def test_a_user_whose_last_day_is_over_is_out(browser: Browser, config: Config) -> None:
    """In the middle of a session."""
    add_user(config)
    page = browser()
    assert 303 == log_in(page).status_code
    assert 200 == page.get("/").status_code
    with desk_opening.opened(config.page_store) as db:
        ended = users.find(db, "budi")._replace(end_ms=round(time.time() * 1000))
        users.change(db, ended, people.actor())
    assert 401 == page.get("/").status_code


def test_a_removed_user_is_out(browser: Browser, config: Config) -> None:
    """The next request of a browser that was logged in gets the login."""
    add_user(config)
    add_user(config, "ina")
    page = browser()
    log_in(page)
    remove_user(config)
    assert 401 == page.get("/").status_code


def test_a_session_is_never_one_that_was_brought_along(browser: Browser, config: Config) -> None:
    """Fixation: the browser has a cookie that somebody else knows, or another user's session."""
    add_user(config)
    page, before = browser(), browser()
    log_in(before)
    known = before.cookies["titik"]
    page.cookies.set("titik", known, domain="127.0.0.1", path="/")
    log_in(page)
    assert known != page.cookies["titik"]
    assert 401 == before.get("/").status_code
    page.cookies.clear()
    page.cookies.set("titik", "made-up-by-an-attacker")
    assert 401 == page.get("/").status_code


@pytest.mark.parametrize(
    ("web", "expected"),
    [
        ({}, r"titik=[\w-]{43}; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax"),
        (
            {"url": "https://titik.example.org"},
            r"__Host-titik=[\w-]{43}; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax; Secure",
        ),
    ],
)
def test_the_cookie_is_for_this_host_and_the_server_alone(
    browser: Browser, config: Config, web: dict[str, object], expected: str
) -> None:
    """With HTTPS a browser takes it from nobody else."""
    add_user(config)
    page = browser(**web)
    token = form_token(page.get("/login"))
    kept = {one.name: one.value or "" for one in page.cookies.jar}
    answer = page.post(
        "/login",
        data={"name": "budi", "password": PASSWORD, "form": token},
        headers={"Origin": OURS, "Cookie": "; ".join(f"{k}={v}" for k, v in kept.items())},
        follow_redirects=False,
    )
    assert re.fullmatch(expected, answer.headers["set-cookie"], re.I), answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {},
    ],
)  # fmt: skip
def test_a_form_of_another_site_is_refused(
    browser: Browser, config: Config, headers: dict[str, str]
) -> None:
    """Though it has the token."""
    add_user(config)
    page = browser()
    token = form_token(page.get("/login"))
    fields = {"name": "budi", "password": PASSWORD, "form": token}
    answer = page.post("/login", data=fields, headers=headers)
    assert 403 == answer.status_code
    assert "titik" not in page.cookies


@pytest.mark.parametrize("token", ["", "0" * 64, "another browser's"])
def test_a_form_without_the_token_of_its_browser_is_refused(
    browser: Browser, config: Config, token: str
) -> None:
    """Though it comes from our address."""
    add_user(config)
    page = browser()
    page.get("/login")
    if token.startswith("another"):
        token = form_token(browser().get("/login"))
    fields = {"name": "budi", "password": PASSWORD, "form": token}
    assert 403 == page.post("/login", data=fields, headers={"Origin": OURS}).status_code


@pytest.mark.parametrize(
    "onwards",
    [
        "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example",
        "javascript:alert(1)", "/%0d%0aSet-Cookie: x=y\r\n", "evil.example", "/\t/evil.example", "",
    ],
)  # fmt: skip
def test_a_login_leads_to_no_other_site(browser: Browser, config: Config, onwards: str) -> None:
    """Whatever the address asked for."""
    add_user(config)
    answer = log_in(browser(), next=onwards)
    assert (303, "/") == (answer.status_code, answer.headers["location"])


def test_a_page_that_needs_a_login_leads_back_to_itself(browser: Browser, config: Config) -> None:
    """With its query."""
    add_user(config)
    answer = browser().get("/history?s=tirosa&w=1h")
    assert 401 == answer.status_code
    assert 'name="next" value="/history?s=tirosa&amp;w=1h"' in answer.text


@pytest.mark.parametrize("path", ["/api/v1/now", "/events", "/metrics"])
def test_a_program_gets_a_reason_and_no_form(browser: Browser, config: Config, path: str) -> None:
    """As RFC 9457 and RFC 6750 have it."""
    add_user(config)
    answer = browser().get(path)
    assert 401 == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]
    assert 'Bearer realm="titik"' == answer.headers["www-authenticate"]


def test_a_program_looks_with_a_token_until_it_is_revoked(browser: Browser, config: Config) -> None:
    """In a header, never in an address."""
    add_user(config)
    secret = add_token(config)
    page = browser()
    assert 200 == page.get("/", headers={"Authorization": f"Bearer {secret}"}).status_code
    assert 401 == page.get(f"/?token={secret}").status_code
    assert 401 == page.get("/", headers={"Authorization": f"Bearer {secret}x"}).status_code
    assert 401 == page.get("/", headers={"Authorization": "Bearer "}).status_code
    with desk_opening.opened(config.page_store) as db:
        tokens.revoke(db, "wall", people.actor())
    assert 401 == page.get("/", headers={"Authorization": f"Bearer {secret}"}).status_code


def test_a_screen_on_a_wall_has_its_token_in_the_address(browser: Browser, config: Config) -> None:
    """And in a cookie from then on, for what the wall loads."""
    add_user(config)
    secret = add_token(config)
    page = browser()
    assert 401 == page.get("/wall?token=wrong").status_code
    assert 200 == page.get(f"/wall?token={secret}").status_code
    assert [200, 200] == [page.get(path).status_code for path in ("/wall", "/basemap.geojson")]
    assert [401, 401] == [page.get(path).status_code for path in ("/", "/api/v1/now")]


def test_a_look_at_the_wall_leaves_an_operator_who_they_are(
    browser: Browser, config: Config
) -> None:
    """Whoever tries the address before the screen hangs; to log out ends it too."""
    add_user(config, "siti", "operator")
    page = browser()
    log_in(page, "siti")
    page.get(f"/wall?token={add_token(config)}")
    assert "siti" in page.get("/?lang=en").text
    assert 404 == page.post("/anything", headers={"Origin": OURS}).status_code
    token = form_token(page.get("/logout"))
    page.post("/logout", data={"form": token}, headers={"Origin": OURS})
    assert 401 == page.get("/wall").status_code


def test_no_cache_between_keeps_what_needs_a_login(browser: Browser, config: Config) -> None:
    """Only the files of the page, which show nothing of the city."""
    page = browser()
    add_user(config)
    log_in(page)
    assert "private, max-age=30" == page.get("/api/v1/sites").headers["cache-control"]
    assert "no-store" == page.get("/").headers["cache-control"]
    (style,) = re.findall(r'href="(/static/[^"]+/page.css)"', page.get("/").text)
    assert page.get(style).headers["cache-control"].startswith("public, ")


def test_a_viewer_changes_nothing(browser: Browser, config: Config) -> None:
    """Nor does an operator from another site's page, nor a demo without a login."""
    page = browser()
    assert 403 == page.post("/anything", headers={"Origin": OURS}).status_code
    add_user(config)
    add_user(config, "ina", "operator")
    log_in(page)
    assert 403 == page.post("/anything", headers={"Origin": OURS}).status_code
    operator = browser()
    log_in(operator, "ina")
    assert 403 == operator.post("/anything", headers={"Origin": "https://evil.example"}).status_code
    assert 404 == operator.post("/anything", headers={"Origin": OURS}).status_code


def test_a_page_with_an_url_has_no_other_name(browser: Browser, config: Config) -> None:
    """A foreign host is refused before anything else."""
    add_user(config)
    page = browser(url="https://titik.example.org")
    assert 421 == page.get("/login", headers={"Host": "evil.example"}).status_code
    assert 200 == page.get("/login", headers={"Host": "titik.example.org"}).status_code
    assert 200 == page.get("/login").status_code


def test_a_huge_form_is_refused(browser: Browser, config: Config) -> None:
    """Before it is whole."""
    add_user(config)
    page = browser()
    token = form_token(page.get("/login"))
    fields = {"name": "b" * 100_000, "password": PASSWORD, "form": token}
    answer = page.post("/login", data=fields, headers={"Origin": OURS})
    assert 413 == answer.status_code


@pytest.mark.parametrize("body", [b"\xff=\xff", b"a=1&" * 100])
def test_a_form_that_is_none_is_refused(browser: Browser, body: bytes) -> None:
    """Not UTF-8, or more fields than a form has."""
    page = browser()
    page.get("/login")
    assert 400 == page.post("/login", content=body, headers={"Origin": OURS}).status_code


def test_a_desk_that_cannot_be_read_lets_nobody_in(
    browser: Browser, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is in the log alone; the page goes on when the desk is there again."""
    add_user(config)
    page = browser()
    log_in(page)
    assert config.store.path is not None
    desk = desk_opening.file_of(config.store.path)
    kept = desk.with_name("kept")
    for one in desk.parent.iterdir():
        one.rename(kept if one == desk else one.with_name(f"{one.name}.away"))
    desk.write_bytes(b"no desk at all " * 1000)
    answer = page.get("/")
    assert 503 == answer.status_code
    assert str(desk) not in answer.text
    assert "the desk cannot be read" in caplog.text
    desk.unlink()
    kept.rename(desk)
    assert page.get("/").status_code in (200, 401)


def test_a_desk_that_does_not_answer_is_away(
    untouched: CityView, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for it reads so; nobody hangs."""
    add_user(config)
    monkeypatch.setattr("titik_collector.web.desk.DEADLINE_S", 0.1)
    silence = threading.Event()
    threading.Timer(PATIENCE_S, silence.set).start()
    try:
        with pytest.raises(NoDesk, match="did not answer"):
            loops.run(untouched.desk.ask(lambda _: silence.wait(), True))
    finally:
        silence.set()


def test_the_audit_has_who_logged_in_and_from_where(browser: Browser, config: Config) -> None:
    """And who logged out."""
    add_user(config)
    page = browser()
    log_in(page)
    people.log_out(page)
    with desk_opening.opened(config.page_store) as db:
        rows = [row[1:] for row in desk_audit.newest(db, 2)]
    assert [
        ("budi", "testclient", "logged in", "budi"),
        ("budi", "testclient", "logged out", "budi"),
    ] == rows


def test_the_page_deletes_what_is_old_by_the_time_of_the_store(tmp_path: Path) -> None:
    """Nobody has to log in for that, and the machine's clock may be years ahead for an hour."""
    forget_ms = cities.now_ms() - 400 * DAY_MS
    with cities.city(tmp_path) as city:
        with city.db.transaction():
            server_clock_row.keep(city.db, Known("boot", 0, True, 0, forget_ms))
        with desk_opening.opened(city.config.page_store) as db, db.transaction():
            for days in (364, 366):
                desk_audit.append(
                    db, AuditRow(forget_ms - days * DAY_MS, "root", None, "", f"{days} days")
                )
        with watching(city.config), desk_opening.opened(city.config.page_store) as db:
            left = until(lambda: [one.subject for one in desk_audit.newest(db, 9)], ["364 days"])
    assert ["364 days"] == left


def test_an_audit_that_stays_is_a_warning_once(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its database keeps rows of the last 30 days; one without the right to delete keeps all."""
    add_user(config)
    monkeypatch.setattr("titik_collector.web.desk.FORGET_S", 0.0)
    desk = Desk(config)
    for _ in range(2):
        desk.forget(cities.now_ms() + 400 * DAY_MS, 30)
    desk.close()
    ((level, text),) = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert "WARNING" == level
    assert text.startswith("old rows of the desk are not deleted reason=")


def test_a_trusted_proxy_names_the_user(browser: Browser, config: Config) -> None:
    """Somebody else's header is not believed, and a name that is no user gets nothing."""
    add_user(config)
    proxied = {"identity_header": "X-Forwarded-User"}
    page = browser(trusted_proxies=("192.0.2.1/32",), **proxied)
    assert 401 == page.get("/", headers={"X-Forwarded-User": "budi"}).status_code
    page = browser(trusted_proxies=("127.0.0.1/32",), **proxied)
    assert 401 == page.get("/", headers={"X-Forwarded-User": "budi"}).status_code  # no such peer


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ([b"budi"], 200), ([b"BUDI"], 200), ([b"nobody"], 403), ([b"budi", b"ina"], 403),
        ([b""], 401), ([], 401), ([b"ended"], 403),
    ],
)  # fmt: skip
def test_the_header_of_a_trusted_proxy_is_the_user(
    untouched: CityView, config: Config, named: list[bytes], status: int
) -> None:
    """One name of a user; a browser that sends one as well makes it two, which are none."""
    add_user(config)
    add_user(config, "ended", end_ms=1)
    web = replace(config.web, trusted_proxies=("10.0.0.1/32",), identity_header="X-Forwarded-User")
    untouched.config = replace(config, web=web)
    page = TestClient(
        app.build(untouched), OURS, client=("10.0.0.1", 5), raise_server_exceptions=False
    )
    headers = [(b"x-forwarded-user", one) for one in named]
    assert status == page.get("/", headers=headers).status_code


def test_what_is_open_is_little() -> None:
    """Everything else is asked for a login, also what is added later."""
    assert ("/login", "/logout", "/healthz") == access.OPEN
    assert ("/static/", "/public/") == access.OPEN_FOLDERS
