"""Guessing is slowed, and nobody is locked out."""

from titik_collector.accounts.slowing import (
    FORGOTTEN_S,
    FREE,
    LONGEST_S,
    PATIENCE_S,
    Slowing,
    pause_s,
)
from titik_collector.limits import MAX_PAIRS

HOME, OFFICE = "203.0.113.5", "198.51.100.7"


def exhausted(slowing: Slowing, name: str = "budi", address: str = HOME) -> int:
    """Attempts of a pair at one moment until one is refused; how many were looked at."""
    taken = 0
    while slowing.wait_s(name, address, 0.0) is not None:
        taken += 1
        assert taken < 100
    return taken


def test_the_first_attempts_are_free_and_the_next_wait_longer_and_longer() -> None:
    """Each waits for the one before."""
    slowing = Slowing()
    waits = [slowing.wait_s("budi", HOME, 0.0) for _ in range(6)]
    assert [0.0, 0.0, 0.0, 1.0, 3.0, 7.0] == waits
    assert LONGEST_S == pause_s(1000)


def test_a_thousand_at_once_are_slowed_too() -> None:
    """An attempt counts when it comes, not when it has failed."""
    assert exhausted(Slowing()) < FREE + 10


def test_the_name_is_free_from_elsewhere_and_the_address_for_others() -> None:
    """Neither is locked out by who guesses."""
    slowing = Slowing()
    exhausted(slowing)
    assert 0.0 == slowing.wait_s("budi", OFFICE, 0.0)
    assert 0.0 == slowing.wait_s("ina", HOME, 0.0)


def test_two_hundred_behind_one_address_wait_for_nothing() -> None:
    """A city's own Wi-Fi is one address."""
    slowing = Slowing()
    assert [0.0] * 200 == [slowing.wait_s(f"user{n}", HOME, 0.0) for n in range(200)]


def test_the_right_password_and_time_forget_a_pair() -> None:
    """Then its attempts are free again."""
    slowing = Slowing()
    exhausted(slowing)
    slowing.forget("budi", HOME)
    assert 0.0 == slowing.wait_s("budi", HOME, 0.0)
    exhausted(slowing)
    assert 0.0 == slowing.wait_s("budi", HOME, PATIENCE_S + LONGEST_S + FORGOTTEN_S + 1)


def test_a_refused_attempt_makes_nobody_wait_longer() -> None:
    """Else whoever floods would keep the pair closed for ever."""
    slowing = Slowing()
    exhausted(slowing)
    for _ in range(1000):
        assert slowing.wait_s("budi", HOME, 0.0) is None
    assert slowing.wait_s("budi", HOME, LONGEST_S) is not None


def test_addresses_of_one_household_are_one() -> None:
    """IPv6 gives each as many as it likes."""
    slowing = Slowing()
    exhausted(slowing, address="2001:db8:1:2::1")
    assert slowing.wait_s("budi", "2001:db8:1:2:ffff::9", 0.0) is None
    assert 0.0 == slowing.wait_s("budi", "2001:db8:1:3::1", 0.0)


def test_what_is_remembered_is_bounded() -> None:
    """Whoever makes names up fills no memory."""
    slowing = Slowing()
    for number in range(MAX_PAIRS + 10):
        slowing.wait_s(f"user{number}", HOME, 0.0)
    assert MAX_PAIRS == len(slowing._pairs)
