"""Signs that stand for a figure on a terminal, and what one without Unicode shows instead."""

UNKNOWN = "·"
BARS = "▁▂▃▄▅▆▇█"
PLAIN = {UNKNOWN: ".", **{bar: str(n) for n, bar in enumerate(BARS, 1)}}
