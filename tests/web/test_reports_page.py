"""`/reports`: the page, and its forms for paper and for other programs."""

import asyncio
import contextlib
import io
import sys

import httpx
import pytest
from pypdf import PdfReader
from starlette.testclient import TestClient

from tests.web import cities, loops
from tests.web.conftest import LOOPBACK
from titik_collector.limits import MAX_WAITING_TURNS
from titik_collector.reports import period as periods
from titik_collector.reports.period import Period
from titik_collector.web.turns import Turns
from titik_wire.instant import HOUR_MS


@pytest.fixture(autouse=True)
def _cut(city: cities.City) -> None:
    """Every router was away for an hour, so all places are known for three."""
    at_ms = cities.now_ms() - 3 * HOUR_MS
    city.db.execute(
        "INSERT INTO outage (router_id, from_ms, to_ms, cause)"
        f" SELECT id, {at_ms}, {at_ms + HOUR_MS}, 'power cut' FROM router"
    )


def period(city: cities.City) -> Period:
    """A month that has an hour at least; on the first of one it is the month before."""
    return periods.at(cities.now_ms() - 2 * HOUR_MS, city.config.city.timezone)


def test_a_report_is_a_page_a_table_and_a_sheet(city: cities.City, page: TestClient) -> None:
    """Of the city, and of what its places have; in both languages."""
    name = period(city).name
    english = page.get(f"/reports/{name}?lang=en")
    assert 200 == english.status_code
    assert "Free Wi-Fi: report of a month" in english.text
    assert "Wi-Fi gratis: laporan bulanan" in page.get(f"/reports/{name}?lang=id").text
    table = page.get(f"/reports/{name}.csv")
    assert table.text.startswith("period,state,kind,name")
    assert f'attachment; filename="titik-{name}.csv"' == table.headers["content-disposition"]
    sheet = page.get(f"/reports/{name}-interruptions.csv?provider=telkom")
    assert sheet.text.startswith("period,state,site")
    assert (
        f'attachment; filename="titik-{name}-Telkom-interruptions.csv"'
        == (sheet.headers["content-disposition"])
    )


def test_a_part_of_the_city_has_its_own(city: cities.City, page: TestClient) -> None:
    """A link leads to each, and one back; this provider's places never close."""
    name = period(city).name
    text = page.get(f"/reports/{name}?lang=en&provider=Telkom").text
    assert "<h1>Telkom: " in text
    assert f'href="/reports/{name}"' in text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/reports/2026-13", 404),
        ("/reports/2020-01", 404),
        ("/reports/2090-01", 404),
        ("/reports/november.pdf", 404),
        ("/reports/{name}?provider=Nobody", 404),
        ("/reports/{name}?provider=Telkom&site=tirosa", 400),
        ("/reports", 200),
    ],
)
def test_what_there_is_not_is_not_there(
    city: cities.City, page: TestClient, address: str, status: int
) -> None:
    """A month without a router, one to come, and a name that nobody has."""
    if address.startswith("/reports/2020"):
        status = 200  # nothing is known of it, and the page says so
    assert status == page.get(address.format(name=period(city).name)).status_code


@pytest.mark.thorough
def test_a_pdf_is_made_by_a_process_of_its_own(city: cities.City, page: TestClient) -> None:
    """And is one."""
    answer = page.get(f"/reports/{period(city).name}.pdf?lang=en")
    assert "application/pdf" == answer.headers["content-type"]
    assert "Kota Kupang" in PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()


@pytest.mark.thorough
def test_a_pdf_is_drawn_once(
    city: cities.City, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the same report in the same language; another one is drawn."""
    address = f"/reports/{period(city).name}.pdf?lang=en"
    first = page.get(address)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    again = page.get(address)
    assert (200, first.content) == (again.status_code, again.content)
    assert 503 == page.get(address.replace("en", "id")).status_code


def test_who_finds_too_many_before_it_comes_again(city: cities.City, page: TestClient) -> None:
    """With a sentence, and when; a few wait for their turn."""
    name = period(city).name
    page.get(f"/reports/{name}")
    turns: Turns = page.app.state.pdfs._turns  # type: ignore[attr-defined]

    async def full() -> list[httpx.Response]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(turns.turn())
            waiting = [asyncio.create_task(wait(turns)) for _ in range(MAX_WAITING_TURNS)]
            await asyncio.sleep(0)
            transport = httpx.ASGITransport(page.app)
            client = httpx.AsyncClient(transport=transport, base_url=LOOPBACK)
            async with client:
                found = [await client.get(f"/reports/{name}{form}") for form in (".pdf", ".csv")]
        assert MAX_WAITING_TURNS == sum(await asyncio.gather(*waiting))
        return found

    busy, table = loops.run(full())
    assert (503, "60", 200) == (busy.status_code, busy.headers["retry-after"], table.status_code)
    assert "menunggu PDF" in busy.text


async def wait(turns: Turns) -> bool:
    """Until it is its turn."""
    async with turns.turn():
        return True


def test_a_process_that_fails_is_the_reader_s_to_read(
    city: cities.City, page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the PDF that fails, and not the city."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    answer = page.get(f"/reports/{period(city).name}.pdf?lang=en")
    assert 503 == answer.status_code
    assert "<h1>The PDF cannot be made now</h1>" in answer.text


@pytest.mark.parametrize("is_there", [True, False])
def test_a_pdf_is_offered_where_it_can_be_made(
    city: cities.City, page: TestClient, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """An installation without its library offers the tables alone, and says why."""
    if not is_there:
        monkeypatch.setitem(sys.modules, "weasyprint", None)
    name = period(city).name
    text = page.get(f"/reports/{name}?lang=en").text
    assert (is_there, True) == (f'/{name}.pdf"' in text, f'/{name}.csv"' in text)
    assert is_there != ("There is no PDF, because WeasyPrint is not installed" in text)
