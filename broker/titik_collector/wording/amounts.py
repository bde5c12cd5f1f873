"""Numbers with what they count, in the English of commands: `1 router`, `2 routers`."""


def amount(number: int, what: str) -> str:
    """`what` is of one."""
    return f"{number} {what}{'s' * (number != 1)}"


def either(number: int, one: str, many: str) -> str:
    """The word that goes with the number, such as `is` or `are`."""
    return one if number == 1 else many
