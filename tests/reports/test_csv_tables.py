"""The tables of a report for other programs."""

import csv
import io
from dataclasses import replace

import pytest

from tests.reports.made import ZONE, availability, headline, made
from titik_collector.queries.availability import Availability
from titik_collector.reports import csv_tables


def rows(text: str) -> list[dict[str, str]]:
    """As a program reads them."""
    return list(csv.DictReader(io.StringIO(text)))


def test_each_place_is_a_line_after_the_whole() -> None:
    """With the minutes of each part, the bounds, and the minutes of each cause."""
    found = rows(csv_tables.places(made()))
    assert ["city", "provider", "site"] == [one["kind"] for one in found]
    assert {
        "period": "2026-11", "state": "provisional", "available_least": "0.96",
        "available_most": "0.98", "available_min": "9600.0", "not_available_min": "200.0",
        "not_known_min": "200.0", "excluded_min": "0.0", "power_cut_min": "150.0",
        "no_internet_min": "50.0", "internet_not_checked_min": "4800.0", "clients_mean": "40.0",
        "site_visits_min": "1200", "simulated": "",
    }.items() <= found[0].items()  # fmt: skip


@pytest.mark.parametrize(("share", "cell"), [(None, ""), (0.0, ""), (0.25, "0.25")])
def test_traffic_that_may_be_too_low_has_its_share(share: float | None, cell: str) -> None:
    """In the last column, so that programs find the others where they were."""
    counted = headline().use._replace(flow_offload=share)
    found = csv_tables.places(made(headline=replace(headline(), use=counted)))
    assert found.partition("\n")[0].endswith(",simulated,flow_offload_ratio")
    assert cell == rows(found)[0]["flow_offload_ratio"]


def test_an_interruption_has_what_a_claim_needs() -> None:
    """The line's number, both times with their zone, and nothing that a spreadsheet computes."""
    first, last = rows(csv_tables.interruptions(made(), ZONE))
    assert {
        "provider": "'=Telkom", "circuit": "0123", "from": "2026-11-01T05:00:00+08:00",
        "to": "2026-11-01T06:30:00+08:00", "length_min": "90.0", "cause": "power cut",
        "party": "power", "goes_on": "",
        "evidence": "it came back with another boot, and had not reported that it stops",
    }.items() <= first.items()  # fmt: skip
    assert ("", "") == (last["provider"], last["goes_on"])
    assert ["true"] == [
        one["goes_on"] for one in rows(csv_tables.interruptions(made(is_over=False), ZONE))[1:]
    ]


def test_of_a_time_without_data_no_number_of_interruptions_is_known() -> None:
    """Nobody could have noticed one."""
    nothing = replace(headline(Availability(0, (), 600)), interruptions=0)
    assert "" == rows(csv_tables.places(made(headline=nothing)))[0]["interruptions"]
    assert "2" == rows(csv_tables.places(made()))[0]["interruptions"]


def test_what_is_frozen_says_so() -> None:
    """With its revision."""
    found = rows(csv_tables.places(made(revision=2, frozen_ms=0)))
    assert {"final 2"} == {one["state"] for one in found}
    assert headline(availability(0)) != headline()
