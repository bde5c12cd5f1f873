"""What the past may cost, and what is kept of it."""

from collections.abc import Awaitable, Callable

import pytest

from tests.web import loops
from titik_collector.limits import MAX_KEPT_ANSWERS, MAX_KEPT_BYTES
from titik_collector.web.api.past_answers import AT_ONCE, PER_S, KeptAnswer, PastBudget
from titik_collector.web.city_view import Unanswered


class Asking:
    """Answers by a clock that is set by hand, and how often one was computed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.computed = 0
        self._past = PastBudget(lambda: self.now)

    def ask(self, key: object, windows: int = 1, body: bytes = b"x", keep_s: int = 10) -> bytes:
        """One question."""

        async def make() -> KeptAnswer:
            self.computed += 1
            return KeptAnswer(body, keep_s)

        made: Callable[[], Awaitable[KeptAnswer]] = make
        return loops.run(self._past.get(key, windows, made)).body


def test_an_answer_is_kept_as_long_as_it_is_true() -> None:
    """The second question costs nothing; the third one comes too late."""
    asking = Asking()
    for asking.now in (0, 9, 11):
        asking.ask("a")
    assert 2 == asking.computed


def test_what_is_asked_at_once_is_bounded_and_comes_again() -> None:
    """For everybody together; what is kept is answered on."""
    asking = Asking()
    asking.ask("kept", AT_ONCE, keep_s=1000)
    with pytest.raises(Unanswered, match="try again in a moment"):
        asking.ask("more")
    assert b"x" == asking.ask("kept", AT_ONCE)
    asking.now += 1
    asking.ask("more", PER_S)


@pytest.mark.parametrize(
    ("size", "most"), [(1, MAX_KEPT_ANSWERS), (MAX_KEPT_BYTES // 4, 4), (MAX_KEPT_BYTES + 1, 0)]
)
def test_what_is_kept_is_bounded(size: int, most: int) -> None:
    """In number and in bytes; the oldest go first."""
    asking = Asking()
    body = bytes(size)
    for n in range(most + 2):
        asking.ask(n, body=body)
    asking.computed = 0
    for n in reversed(range(most + 2)):
        asking.ask(n, body=body)
        if asking.computed:
            break
    assert 1 == n if most else most + 1 == n
