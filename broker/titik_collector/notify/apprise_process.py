"""The process that sends one message by Apprise: it reads what and where to, and answers in JSON.

Rule: the address comes by the standard input, because others can read the arguments of a process.
Rule: Apprise returns no reason, so what it logged is the reason, without the address.
"""

import json
import logging
import re
import sys
from typing import NamedTuple

MISSING, UNKNOWN, FAILED = "missing", "unknown", "failed"


class AppriseAnswer(NamedTuple):
    """How it went."""

    wrong: str | None  # None: it was sent
    reason: str = ""


class Lines(logging.Handler):
    """Keeps the last lines that Apprise logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Remember one."""
        self.texts = [*self.texts[-4:], record.getMessage()]


def main() -> None:
    """Read the order, send, and print the answer."""
    order = json.loads(sys.stdin.buffer.read())
    answer = send(order["url"], order["title"], order["body"], order["is_urgent"])
    print(json.dumps(answer._asdict()))


def send(url: str, title: str, body: str, is_urgent: bool) -> AppriseAnswer:
    """By the service that the address names."""
    try:
        import apprise
    except ImportError:
        return AppriseAnswer(MISSING)
    lines = Lines()
    logger = logging.getLogger("apprise")
    logger.handlers[:] = [lines]
    logger.propagate = False
    service = apprise.Apprise()
    if not service.add(url):  # it returns False and says nothing else
        return AppriseAnswer(UNKNOWN, _without(url, lines.texts))
    kind = apprise.NotifyType.FAILURE if is_urgent else apprise.NotifyType.INFO
    is_sent = service.notify(
        title=title, body=body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
    )
    return AppriseAnswer(None) if is_sent else AppriseAnswer(FAILED, _without(url, lines.texts))


def _without(url: str, texts: list[str]) -> str:
    """What was logged, without any part of the address that could be a secret."""
    text = " ".join(" ".join(texts).split())
    parts = re.split(r"[/?@:&=]+", url.partition("://")[2])
    for part in sorted({url, *parts}, key=len, reverse=True):
        if len(part) >= 6:
            text = text.replace(part, "***")
    return text


if __name__ == "__main__":
    main()
