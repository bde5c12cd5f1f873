"""The libraries of the page are those of package-lock.json, byte for byte."""

import hashlib
import json

import pytest

from tools.web_vendor import COPIES, MODULES, ROOT, VENDOR

# Some of them are inside of protomaps-leaflet.js.
LIBRARIES = {
    *("leaflet", "uPlot", "protomaps-leaflet", "color2k", "fflate", "pbf", "point-geometry"),
    *("potpack", "quickselect", "rbush", "vector-tile"),
}
LOCK = json.loads((ROOT / "package-lock.json").read_text())["packages"]


@pytest.mark.system  # `make test` brings node_modules
@pytest.mark.parametrize("name", COPIES)
def test_a_vendored_file_is_the_package_s_own(name: str) -> None:
    """`npm ci` checked the package against the lock; `make web-vendor` copies it again."""
    assert hashed((MODULES / COPIES[name]).read_bytes()) == hashed((VENDOR / name).read_bytes())


@pytest.mark.system
@pytest.mark.parametrize("package", ["leaflet", "protomaps-leaflet", "uplot"])
def test_the_package_is_the_one_of_the_lock(package: str) -> None:
    """A node_modules of yesterday would make the other test pass on nothing."""
    installed = json.loads((MODULES / package / "package.json").read_text())["version"]
    assert LOCK[f"node_modules/{package}"]["version"] == installed


def test_nothing_else_is_vendored() -> None:
    """Each file has its source in the table of `tools/web_vendor.py`."""
    assert set(COPIES) == {file.name for file in VENDOR.iterdir()}


def test_each_library_brings_its_licence() -> None:
    """All allow copies, on the condition that their notice goes along."""
    text = {file.name: file.read_text() for file in VENDOR.glob("*.LICENSE")}
    assert LIBRARIES == {name.removesuffix(".LICENSE") for name in text}
    assert [] == [name for name, one in text.items() if "Copyright" not in one]


def hashed(content: bytes) -> str:
    """A difference is then one line of output."""
    return hashlib.sha256(content).hexdigest()
