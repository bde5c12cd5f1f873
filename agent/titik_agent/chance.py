"""Random moments, from the kernel: what `random` loads for it is a tenth of a megabyte."""

import os
from typing import Protocol


class Chance(Protocol):
    """What draws them; a `random.Random` is one, too."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between both."""


class SystemChance:
    """Of a process."""

    def uniform(self, a: float, b: float, /) -> float:
        return a + (b - a) * int.from_bytes(os.urandom(6), "big") / (1 << 48)
