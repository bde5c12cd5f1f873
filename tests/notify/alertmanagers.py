"""Debian's Alertmanager as a process, with the example of a configuration."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.notify.programs import HOST
from tests.ports import free_port
from tests.project.sources import ROOT
from tests.until import until

EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
_MAIL = """    email_configs:
      - to: it@kupang.go.id
        send_resolved: true
"""


@dataclass
class Alertmanager:
    """One at a port of its own; it keeps its silences in a folder, and alerts in memory alone."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus-alertmanager",
                    f"--config.file={self.folder}/alertmanager.yml",
                    f"--storage.path={self.folder}/data",
                    f"--web.listen-address={HOST}:{self.port}",
                    "--cluster.listen-address=",  # it is alone
                ],
                stdout=log,
                stderr=log,
            )
        assert until(self.answers, True), (self.folder / "log").read_text()

    def stop(self) -> None:
        """As a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def answers(self) -> bool:
        """Whether it is there."""
        try:
            self.alerts()
        except OSError:
            return False
        return True

    def alerts(self) -> list[dict[str, Any]]:
        """What goes on, as its API has it."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return sorted(found, key=lambda one: str(sorted(one["labels"].items())))

    def subjects(self) -> list[str]:
        """What its alerts are about."""
        return [one["labels"]["subject"] for one in self.alerts()]


@contextmanager
def alertmanager(folder: Path, hook: str = "") -> Iterator[Alertmanager]:
    """Started, until the end of the block; `hook` is a program that gets what it sends."""
    text = EXAMPLE.read_text().replace("group_wait: 10s", "group_wait: 0s\n  group_interval: 1s")
    there = f"    webhook_configs:\n      - url: '{hook}'\n" if hook else ""
    assert _MAIL in text
    (folder / "alertmanager.yml").write_text(text.replace(_MAIL, there))
    made = Alertmanager(folder, free_port())
    made.start()
    try:
        yield made
    finally:
        made.stop()
