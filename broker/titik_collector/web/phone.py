"""The number of a contact, so that a tap on it calls."""

import re
from typing import NamedTuple

FEWEST = 6  # digits; less is a house or a room
_NUMBER = re.compile(r"\+?\d[\d ().-]*\d")


class PhoneNumber(NamedTuple):
    """A text around its first number."""

    before: str
    shown: str
    tel: str  # as a phone dials it
    after: str


def number_in(text: str) -> PhoneNumber | None:
    """None: the text has none."""
    for found in _NUMBER.finditer(text):
        shown = found.group()
        digits = re.sub(r"\D", "", shown)
        if len(digits) >= FEWEST:
            tel = f"+{digits}" if shown.startswith("+") else digits
            return PhoneNumber(text[: found.start()], shown, tel, text[found.end() :])
    return None
