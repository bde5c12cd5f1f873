"""What an operator can mend."""


class Mendable(Exception):
    """The text says what is wrong and what to do; a command shows it in place of a traceback."""

    @property
    def text(self) -> str:
        """With what a translation needs, where it is a `Sentence`."""
        return self.args[0] if self.args else ""
