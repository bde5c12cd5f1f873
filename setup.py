"""Maps folders to packages; everything else about the project is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

# The version lives in the contract's package because a router has no dist-info to read it from.
_INIT = Path(__file__).parent / "agent" / "titik_wire" / "__init__.py"
_VERSION = re.search(r'^__version__ = "(.+)"$', _INIT.read_text(), re.M)
assert _VERSION is not None

setup(
    version=_VERSION[1],
    package_dir={
        "titik_agent": "agent/titik_agent",
        "titik_mqtt": "agent/titik_mqtt",
        "titik_wire": "agent/titik_wire",
        "titik_collector": "broker/titik_collector",
    },
    packages=find_packages("agent") + find_packages("broker"),
)
