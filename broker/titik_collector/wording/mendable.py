"""What an operator can mend."""


class Mendable(Exception):
    """The text says what is wrong and what to do; a command shows it in place of a traceback."""
