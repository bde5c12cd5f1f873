"""The texts of the pages: template, translation and the catalogue that LuCI reads."""

import json
import re

import pytest

from tests.luci.rpcd import ACL, APPLICATION
from tools import luci

PLACES = re.compile(r"%[a-z]")


def test_the_template_has_every_text() -> None:
    """`python -m tools.luci` writes it, after a text changed."""
    assert luci.template() == luci.TEMPLATE.read_text()


def test_every_text_is_translated() -> None:
    """Into Indonesian, with the same values filled in; nothing is left of an older text."""
    translated = luci.translations("id")
    assert luci.texts().keys() == translated.keys()
    assert [] == [
        text
        for text, written in translated.items()
        if not written or PLACES.findall(text) != PLACES.findall(written)
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Status", 0x663359C9),
        ("a", 0x115EA782),
        ("ab", 0x516B8B44),
        ("abc", 0xD2BE198A),
        ("é", 0xC4FBA554),
        ("abé", 0x8F08A63C),
        ("The agent does not run.", 0xC4C77813),
    ],
)
def test_a_text_is_found_by_its_hash(text: str, key: int) -> None:
    """As LuCI's own code in C computes it; an accented character is two signed bytes."""
    assert key == luci.key_of(text)


def test_a_catalogue_is_filled_to_four_bytes_and_ordered_by_key() -> None:
    """LuCI maps the file, and searches by halves."""
    made = luci.lmo({"Status": "Keadaan", "Lost": "Hilang", "Wi-Fi": "Wi-Fi", "Port": ""})
    assert 16 + 2 * 16 + 4 == len(made)
    assert b"Keadaan\0Hilang\0\0" == made[:16]
    read = luci.read_lmo(made)
    assert sorted(read) == list(read)
    assert {luci.key_of("Status"): "Keadaan", luci.key_of("Lost"): "Hilang"} == read


def test_the_menu_opens_for_who_has_the_rights() -> None:
    """Each entry is a view that is there, below one that names the list of rights."""
    menu = json.loads((APPLICATION / "root/usr/share/luci/menu.d/luci-app-titik.json").read_text())
    views = [one["action"]["path"] for one in menu.values() if one["action"]["type"] == "view"]
    assert ["titik/status", "titik/settings"] == views
    folder = APPLICATION / "htdocs/luci-static/resources/view"
    assert all((folder / f"{view}.js").exists() for view in views)
    depends = [menu[f"admin/services/titik{one}"]["depends"]["acl"] for one in ("", "/settings")]
    assert [[one] for one in json.loads(ACL.read_text())] == depends


def test_who_may_only_look_can_change_nothing() -> None:
    """Nor stop the agent by a check."""
    rights = json.loads(ACL.read_text())["luci-app-titik"]["read"]
    assert {"read"} == {right for given in rights["file"].values() for right in given}
    assert {"service": ["list"], "system": ["info"]} == rights["ubus"]
    assert {"file", "ubus"} == rights.keys()
