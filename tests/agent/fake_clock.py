"""A router's clocks, set by hand."""

from dataclasses import dataclass
from typing import Literal


@dataclass
class FakeClock:
    """Four clocks that stand still until a test moves them."""

    boot: str = "b0a7-1"
    now_s: float = 1000.0
    up_ms: int = 1_000_000
    wall: int = 1_795_450_000_000
    trust: Literal["ntp", "guess"] = "ntp"

    def monotonic(self) -> float:
        return self.now_s

    def uptime_ms(self) -> int:
        return self.up_ms

    def wall_ms(self) -> int:
        return self.wall

    def quality(self) -> Literal["ntp", "guess"]:
        return self.trust
