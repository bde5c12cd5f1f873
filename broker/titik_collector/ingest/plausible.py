"""What a sample claims that cannot be true, so that it is refused; pure.

Such a claim changes no figure: one message would otherwise make the losses of a whole city absurd.
A sound router never comes near.
"""

from titik_collector.limits import MAX_LEAP, MAX_UPTIME_MS
from titik_wire.messages import Sample

# An agent takes at most one sample a second, and one more each 5 s when clients come and go.
MIN_SPACING_MS = 500
SPARE = 1000  # samples; for clocks that stand still


def doubt(sample: Sample) -> str | None:
    """Why the sample's seq cannot be; None if it can."""
    uptime_ms = min(sample.uptime_ms, MAX_UPTIME_MS)
    most = SPARE + uptime_ms // MIN_SPACING_MS
    if sample.seq <= most:
        return None
    return f"seq: a run in a boot of {uptime_ms // 1000} s has at most {most} samples"


def leaps(highest: int, seq: int) -> bool:
    """`seq` is too far above the highest that was known of the run."""
    return seq > highest + MAX_LEAP
