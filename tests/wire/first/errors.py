"""What is wrong with a message, in the words of the contract."""


class WireError(ValueError):
    """The peer broke the contract; `path` is the field (`bss[0].clients`), `rule` what it broke."""

    def __init__(self, rule: str, path: str = "") -> None:
        super().__init__(f"{path}: {rule}" if path else rule)
        self.rule = rule
        self.path = path


class UnknownVersion(WireError):
    """A `v` of a later contract: keep the message, neither refuse nor acknowledge it."""
