"""Writes the catalogues of the page's languages: `make languages`, after a text changed.

New texts are added untranslated, texts that are gone leave, and the .mo files are compiled. A test
fails when a file is not current or a text has no translation.
"""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

PACKAGE = Path(__file__).parents[1] / "broker" / "titik_collector"
FOLDER = PACKAGE / "languages"
METHODS = [
    ("desk/**.py", "python"),
    ("enrolment/**.py", "python"),
    ("languages/**.py", "python"),
    ("live/**.py", "python"),
    ("notify/**.py", "python"),
    ("queries/**.py", "python"),
    ("reports/**.py", "python"),
    ("store/upgrading.py", "ignore"),  # it speaks to a terminal
    ("store/**.py", "python"),
    ("timeline/**.py", "python"),
    ("web/**.py", "python"),
    ("public/**.py", "python"),
    ("web/templates/**", "jinja2"),
    ("public/templates/**", "jinja2"),
    ("reports/templates/**", "jinja2"),
]
# `say` translates at once; `marked` is translated where it is shown.
ALONE = ("_", "gettext", "say", "marked")
KEYWORDS = {**dict.fromkeys(ALONE), "ngettext": (1, 2), "many": (1, 2), "marked_many": (1, 2)}
MADE = datetime(2026, 1, 1, tzinfo=UTC)  # a header with today's date would change each day
# Lines of the header that change with each call, or say nothing.
EMPTY = (
    b'"POT-Creation',
    b'"Generated-By',
    b'"Report-',
    b'"PO-Rev',
    b'"Last-Tr',
    b'"Language-Team',
)


def main() -> None:
    """Write every file."""
    for path, content in current().items():
        path.write_bytes(content)


def current() -> dict[Path, bytes]:
    """What the files should hold now."""
    template = texts()
    found = {}
    for po in catalogues():
        catalogue = updated(po, template)
        found[po] = _po(catalogue)
        found[po.with_suffix(".mo")] = _mo(catalogue)
    return found


def catalogues() -> Iterator[Path]:
    """The .po file of each language; English needs none."""
    yield from sorted(FOLDER.glob("*/LC_MESSAGES/titik.po"))


def texts() -> Catalog:
    """Every text of the code, by the place where it stands."""
    found = Catalog(charset="utf-8")
    options = {"**/templates/**": {"newstyle_gettext": "true", "trimmed": "true"}}
    for file, _, message, comments, _ in extract_from_dir(
        str(PACKAGE), METHODS, options, KEYWORDS, comment_tags=("For translators:",)
    ):
        found.add(message, None, [(str(file), 0)], auto_comments=comments)
    return found


def updated(po: Path, template: Catalog) -> Catalog:
    """The catalogue with the texts of now."""
    with po.open("rb") as opened:
        catalogue = read_po(opened, locale=po.parent.parent.name)
    catalogue.update(template, no_fuzzy_matching=True, update_header_comment=False)
    catalogue.obsolete.clear()
    catalogue.creation_date = catalogue.revision_date = MADE
    return catalogue


def _po(catalogue: Catalog) -> bytes:
    written = io.BytesIO()
    write_po(written, catalogue, width=100, sort_output=True, no_location=True)
    lines = written.getvalue().splitlines(keepends=True)
    return b"".join(one for one in lines if not one.startswith(EMPTY))


def _mo(catalogue: Catalog) -> bytes:
    written = io.BytesIO()
    write_mo(written, catalogue)
    return written.getvalue()


if __name__ == "__main__":
    main()
