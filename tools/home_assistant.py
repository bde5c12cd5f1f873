"""Home Assistant's own schemas look at the devices that a city publishes: `make home-assistant`.

Its release is installed below ~/.cache, for which it needs Python 3.12 or 3.13 and some minutes. No
length of the tests does that. So its rules are recorded, and a fast test reads the record.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from titik_collector.config import model
from titik_collector.live.discovery import device
from titik_wire import topics

ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
RELEASE = "2024.12.5"
WANTED = (f"homeassistant=={RELEASE}", "paho-mqtt==1.6.1")
PYTHONS = ("3.12", "3.13")
CHECK = ROOT / "tests" / "integrations" / "in_home_assistant.py"
RECORD = CHECK.with_name(f"home-assistant-{RELEASE}.json")


def main() -> None:
    """Check the devices of the example, and write the record."""
    city = model.load(ROOT / "examples" / "kupang.toml")
    devices = {topics.device(site.name): device(site, city).decode() for site in city.site}
    done = subprocess.run(
        [installed(), CHECK], input=json.dumps(devices), stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        sys.exit(f"Home Assistant {RELEASE} does not take a device as it is")
    RECORD.write_text(done.stdout)
    print(f"Home Assistant {RELEASE} takes all {len(devices)} devices; its rules: {RECORD}")


def installed() -> Path:
    """Its Python, installed if it is not there."""
    folder = CACHE / f"titik-home-assistant-{RELEASE}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing Home Assistant {RELEASE} into {folder}: some minutes")
        subprocess.run([_python(), "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *WANTED], check=True)
        (folder / "complete").touch()
    return python


def _python() -> Path:
    """One that this release runs on."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in PYTHONS:
        found = sorted(pyenv.glob(f"{version}.*/bin/python3"))
        named = shutil.which(f"python{version}")
        if found or named is not None:
            return found[-1] if found else Path(str(named))
    sys.exit(f"Home Assistant {RELEASE} needs Python {' or '.join(PYTHONS)}")


if __name__ == "__main__":
    main()
