"""Three lengths of tests, and none falls between them."""

import re

from tests.project.sources import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def selected(target: str) -> list[str]:
    """The markers that the pytest runs of a target ask for."""
    (recipe,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    return [one.strip('"') for one in re.findall(r'/pytest .*-m ("[^"]+"|\S+)', recipe)]


def test_a_test_is_in_one_of_the_two_lengths_that_are_all() -> None:
    """`make test` and `make test-long` choose the opposite of each other."""
    assert [["not long"], ["long"]] == [selected("test"), selected("test-long")]


def test_the_fast_tests_are_part_of_make_test() -> None:
    """So `make check` shows nothing that `make test` would not."""
    (fast,) = selected("check")
    assert {"not system", "not thorough", "not long"} == set(fast.split(" and "))


def test_continuous_integration_runs_both() -> None:
    """The line that pytest closes with comes last, and it is of the most tests."""
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert ["make test-long", "exec make test"] == lines[-2:]
    assert re.search(r"\n\t[^\n]*/pytest [^\n]* -m \"not long\"\n\n", MAKEFILE)
