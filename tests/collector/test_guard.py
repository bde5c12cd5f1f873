"""What an output raises ends in one line of the log."""

import pytest

from titik_collector.outputs.guard import Guard
from titik_collector.outputs.output import Output


class Wordless(Exception):
    """Raises again when somebody asks for its text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Failing(Output):
    """Overrides nothing."""

    name = "failing"


@pytest.mark.parametrize("raised", [KeyError("x"), Wordless(), KeyboardInterrupt(), SystemExit(1)])
def test_nothing_that_an_output_raises_goes_on(
    raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Its thread lives, and so does the collector."""

    def fail(_: Output) -> None:
        raise raised

    Guard(Failing(), lambda: 0.0).call(fail)
    assert [f"output fails output=failing reason={type(raised).__name__}"] == [
        one.getMessage().partition(":")[0].replace("tests.collector.test_guard.", "")
        for one in caplog.records
    ]
