"""Random moments of a process."""

from titik_agent.chance import SystemChance


def test_moments_lie_between_both_ends_and_spread() -> None:
    """As those of `random` do: none is outside, and the mean is the middle."""
    drawn = [SystemChance().uniform(10.0, 30.0) for _ in range(4000)]
    assert all(10.0 <= one < 30.0 for one in drawn)
    assert 19.0 < sum(drawn) / len(drawn) < 21.0
    assert 4000 == len(set(drawn))
