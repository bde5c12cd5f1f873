"""A contact's number is found in what people write around it."""

import pytest

from titik_collector.web.phone import PhoneNumber, number_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0380-555-0101", PhoneNumber("", "0380-555-0101", "03805550101", "")),
        ("Ibu Ani, 0812 3456 789", PhoneNumber("Ibu Ani, ", "0812 3456 789", "08123456789", "")),
        ("+62 (380) 555-01 Ani", PhoneNumber("", "+62 (380) 555-01", "+6238055501", " Ani")),
        ("room 12, 0380555", PhoneNumber("room 12, ", "0380555", "0380555", "")),
        ("the keeper of gate 12", None),
        ("", None),
    ],
)
def test_the_first_number_that_a_phone_can_dial(text: str, expected: PhoneNumber | None) -> None:
    """With what is before and after it."""
    assert expected == number_in(text)
