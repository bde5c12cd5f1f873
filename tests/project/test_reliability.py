"""The page of the fault campaign is what was measured."""

from pathlib import Path

from tests.faults.mutations import MUTATIONS
from tests.faults.scenarios import SCENARIOS, played
from tests.faults.world import played_files
from tests.project.sources import PACKAGES, ROOT, everything, imports, imports_at_start
from tools import write_reliability as report


def test_the_page_is_made_of_the_results() -> None:
    """Nobody edits a figure by hand, and `python -m tests.faults report` writes it again."""
    assert report.PAGE.read_text() == report.page()


def test_every_scenario_is_on_the_page() -> None:
    """Also one that was never played, or it would vanish in silence."""
    shown = report.page()
    assert [] == [name for name in (*SCENARIOS, *MUTATIONS) if f"`{name}`" not in shown]


def test_each_engine_has_its_own_results() -> None:
    """A scenario of one name is two lines."""
    kept: report.Result = {kind: {} for kind, _ in report.ENGINES.values()}
    for engine in report.ENGINES:
        result = {"scenario": "agent-kills", "engine": engine, "verdict": None}
        report._take(kept, f"agent-kills-{engine}", result)
    assert [*report.ENGINES] == [one["agent-kills"]["engine"] for one in kept.values()]


def test_no_result_is_of_a_scenario_that_is_gone() -> None:
    """What cannot be repeated is no figure."""
    kept = report.load()
    for engine, (kind, _) in report.ENGINES.items():
        assert kept[kind].keys() <= set(played(engine))
    assert kept["mutations"].keys() <= MUTATIONS.keys()


def test_a_result_grows_old_with_all_that_scenarios_import() -> None:
    """What is left out of the digest is the page's own: a change there makes no result untrue."""
    known = set(played_files(ROOT))
    scenarios = [one for one in known if one.suffix == ".py" and _half(one) == ROOT]
    programs = [PACKAGES[name] / "__main__.py" for name in ("titik_agent", "titik_collector")]
    loaded = {one for one in imported([*scenarios, *programs]) if _half(one) != ROOT}
    assert set() == {str(one.relative_to(ROOT)) for one in loaded - known}


def test_no_scenario_starts_the_page() -> None:
    """One that does takes the page's rooms into the digest."""
    files = [one for one in played_files(ROOT) if one.is_relative_to(ROOT / "tests" / "faults")]
    words = ('"web"', '"serve"', '"public"')
    assert [] == [one for one in files for word in words if word in one.read_text()]


# They import the page when they are called.
PAGE_COMMANDS = {
    PACKAGES["titik_collector"] / "commands" / f"{name}.py" for name in ("web", "public")
}


def imported(roots: list[Path]) -> set[Path]:
    """Every file of ours that these load, at first hand or through others; themselves too."""
    modules = {_module(file): file for file in everything()}
    found: set[Path] = set()
    waiting = list(roots)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            names = imports_at_start(file) if file in PAGE_COMMANDS else imports(file)
            waiting += [
                modules[one] for name in names for one in _with_rooms(name) if one in modules
            ]
    return found


def _module(file: Path) -> str:
    """Its dotted name; a package is called as its folder."""
    return ".".join(file.relative_to(_half(file)).with_suffix("").parts).removesuffix(".__init__")


def _half(file: Path) -> Path:
    """The folder that its packages are found in: the router's, the server's, or all of it."""
    halves = (ROOT / "agent", ROOT / "broker")
    return next((half for half in halves if file.is_relative_to(half)), ROOT)


def _with_rooms(name: str) -> list[str]:
    """A module, and the packages that are loaded before it."""
    parts = name.split(".")
    return [".".join(parts[:many]) for many in range(1, len(parts) + 1)]
