"""Finds the program that makes packages and lists of OpenWrt 25.12: apk 3, of whatever origin.

Rule: apk-tools 2 has the same name, and knows neither.
"""

import re
import shutil
import subprocess

MAJOR = 3


def find() -> str | None:
    """The program, if apk 3 is here."""
    found = shutil.which("apk")
    return found if found is not None and is_new(version(found)) else None


def version(apk: str) -> str:
    """What it says of itself, or why it cannot."""
    asked = subprocess.run([apk, "--version"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() or asked.stderr.strip()


def is_new(text: str) -> bool:
    """Whether that is of apk 3."""
    found = re.match(r"apk-tools (\d+)\.", text)
    return found is not None and int(found[1]) >= MAJOR
