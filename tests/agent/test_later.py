"""Modules that are imported when first used."""

import json
import os
import subprocess
import sys

import pytest

from titik_agent.lazy_imports.later import RARE


def printed_by(code: str) -> list[str]:
    """What a fresh process prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", f"import importlib, json, sys; {code}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", RARE)
def test_what_is_put_off_works_when_it_is_used(name: str) -> None:
    """Also by a library that took the stand-in; the true module is then everyone's."""
    code = f"from titik_agent.lazy_imports import later; import {name} as held; later.finish()"
    code += f"; public = [one for one in vars(importlib.import_module('{name}')) if one[0] != '_']"
    code += "; print(json.dumps([one for one in public if not hasattr(held, one)]))"
    assert [] == printed_by(code)


def test_what_is_loaded_already_is_left_alone() -> None:
    """A program that uses one keeps it."""
    code = "import base64; before = base64; import titik_agent.lazy_imports.later"
    code += "; import base64; print(json.dumps([before is base64, type(base64).__name__]))"
    assert [True, "module"] == printed_by(code)


def test_a_use_before_the_end_of_start_up_gives_the_true_module() -> None:
    """To the user and to whoever imports it after."""
    code = "import titik_agent.lazy_imports.later, base64; base64.b64encode(b'')"
    code += "; import base64 as again"
    code += "; print(json.dumps([type(again).__name__, again.b16encode(b'A').decode()]))"
    assert ["module", "41"] == printed_by(code)


@pytest.mark.thorough
def test_no_stand_in_is_left_for_others() -> None:
    """Whoever imports one after the agent gets the true one."""
    code = "import titik_agent.assemble; from titik_agent.lazy_imports.later import Later"
    code += "; print(json.dumps([n for n, m in sys.modules.items() if isinstance(m, Later)]))"
    assert [] == printed_by(code)


@pytest.mark.thorough
def test_the_agent_does_not_use_them_at_start() -> None:
    """A dataclass without a docstring would, to make one of its signature.

    From 3.12 on `typing` and `dataclasses` use inspect themselves.
    """
    unused = {"traceback", "inspect"} if sys.version_info < (3, 12) else {"traceback"}
    code = "import titik_agent.assemble; print(json.dumps(sorted(sys.modules)))"
    assert set() == unused & set(printed_by(code))


@pytest.mark.thorough
def test_a_traceback_is_printed_as_ever() -> None:
    """By logging, from within the agent's process."""
    code = (
        "import titik_agent.assemble, io, logging; output = io.StringIO()\n"
        "logging.basicConfig(stream=output)\n"
        "try:\n    1 / 0\n"
        "except ZeroDivisionError:\n    logging.exception('oh')\n"
        "print(json.dumps(output.getvalue().splitlines()[-1:]))"
    )
    assert ["ZeroDivisionError: division by zero"] == printed_by(code)
