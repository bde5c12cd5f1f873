"""Any service that Apprise knows, each try in a process of its own that is killed when it hangs.

Rule: Apprise has 46 MB and plugins of many hands; none of it is in the process that has the outbox.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from titik_collector.limits import MAX_DETAIL
from titik_collector.notify import apprise_process, secret_files
from titik_collector.notify.composed import Composed
from titik_collector.notify.undelivered import Passed, Undelivered, nothing

DEADLINE_S = 20.0  # a try has 10 s, and the process begins in up to as many on a busy machine
INSTALL = f'{sys.executable} -m pip install "apprise>=1.9"'
ADDRESSES = "https://appriseit.com/services/"


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """The way to what one address of Apprise names."""

    url_file: Path
    deadline_s: float = DEADLINE_S

    def deliver(self, one: Composed, passed: Passed = nothing) -> None:
        """Send it; Undelivered if the service does not take it."""
        url = secret_files.read(self.url_file, "the address of the service, as Apprise has it")
        passed("secret")
        order = {
            "url": url,
            "title": one.subject if one.rest else "",
            "body": one.rest or one.subject,
            "is_urgent": one.message.severity == "critical" and one.message.what != "resolved",
        }
        try:
            done = subprocess.run(
                [sys.executable, "-m", apprise_process.__name__],
                input=json.dumps(order).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=self.deadline_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            wrong = f"no end within {self.deadline_s:g} s"
            raise Undelivered("send", wrong, remedy="try again later") from None
        _judge(done.stdout, self.url_file)
        passed("send")


def _judge(output: bytes, url_file: Path) -> None:
    try:
        found = apprise_process.AppriseAnswer(**json.loads(output))
    except (ValueError, TypeError) as error:
        raise Undelivered("send", "Apprise ended without an answer") from error
    if found.wrong is None:
        return
    if found.wrong == apprise_process.MISSING:
        raise Undelivered("config", "apprise is not installed", remedy=f"type: {INSTALL}")
    reason = found.reason[:MAX_DETAIL]
    if found.wrong == apprise_process.UNKNOWN:
        remedy = f"write an address of {ADDRESSES} into {url_file}"
        wrong = "Apprise does not know this address"
        raise Undelivered("secret", f"{wrong} ({reason})" if reason else wrong, remedy=remedy)
    raise Undelivered("send", reason or "the service did not take it", remedy="see the address")
