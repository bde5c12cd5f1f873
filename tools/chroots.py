"""Debian releases as archives, and what pip needs in them: made once, outside of the repository.

They are as small as an installation needs; what is tried in one happens in a copy of it.
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

MIRROR = "http://deb.debian.org/debian"
PACKAGES = "ca-certificates,make,mosquitto,mosquitto-clients,python3-venv,systemd"
PYTHONS = {"bookworm": "311", "trixie": "313"}  # each release's own
_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
# What pip fetches for `make install`, and what builds it.
WANTED = (
    *_PROJECT["project"]["dependencies"],
    *[
        one
        for extra in ("server", "notify")
        for one in _PROJECT["project"]["optional-dependencies"][extra]
    ],
    *_PROJECT["build-system"]["requires"],
    "wheel",
)


def cache() -> Path:
    """Beside the roots of `make foreign`."""
    place = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(place) / "titik-install"


def archive(suite: str) -> Path:
    """A release's root file system, as a tar file."""
    file = cache() / f"{suite}.tar"
    stamp, wanted = cache() / f"{suite}.wanted.txt", f"{suite} {PACKAGES}"
    if not file.exists() or not stamp.exists() or stamp.read_text() != wanted:
        cache().mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(".new.tar")
        command = ["mmdebstrap", "-q", "--variant=minbase", f"--include={PACKAGES}"]
        # Documents and translations are half of it.
        command += [
            f"--dpkgopt=path-exclude=/usr/share/{one}/*" for one in ("doc", "locale", "man")
        ]
        subprocess.run([*command, suite, str(beside), MIRROR], check=True)
        beside.replace(file)
        stamp.write_text(wanted)
    return file


def wheels() -> Path:
    """A folder with every release's wheels, for pip without a network."""
    folder = cache() / "wheels"
    stamp, wanted = folder / "wanted.txt", " ".join((*PYTHONS.values(), *WANTED))
    if not stamp.exists() or stamp.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        for version in PYTHONS.values():
            pip = [sys.executable, "-m", "pip", "download", "-q", "-d", str(folder)]
            pip += ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}"]
            subprocess.run([*pip, *WANTED], check=True)
        stamp.write_text(wanted)
    return folder
