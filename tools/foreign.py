"""Runs the router's tests on processors that this machine does not have, and the agent live.

One is 32 bits wide, one is big-endian; between them they have what MIPS routers have. User space is
Debian's, only unpacked; qemu-user runs its Python, and this machine's kernel is everybody's.
"""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
EMULATORS = {"armhf": "qemu-arm-static", "s390x": "qemu-s390x-static"}
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
PACKAGES = "python3,python3-paho-mqtt,python3-psutil,python3-click,python3-scapy"
TOOLS = ("pytest", "hypothesis")  # pure Python, from where the other tests have them
PYTHON = "3.11"
TESTS = ("tests/wire", "tests/agent")
LIVE = "tests/foreign/live.py"
# qemu-user neither keeps RLIMIT_AS nor knows SIOCETHTOOL; these ask the kernel for just that.
NOT_EMULATED = (
    "tests/agent/test_probe.py::test_a_round_is_limited",
    "tests/agent/test_probe.py::test_a_round_that_eats_memory_ends_itself",
    "tests/agent/test_probe.py::test_an_uplink_without_arp_is_up_with_its_link",
)


def main() -> None:
    """Both processors, also when the first has failed; then the agent live on each."""
    for name in EMULATORS:
        install(name)
    with ThreadPoolExecutor(len(EMULATORS)) as pool:
        passed = list(pool.map(passes, EMULATORS))
    failed = [name for name, well in zip(EMULATORS, passed, strict=True) if not well]
    live = subprocess.run([sys.executable, "-m", "pytest", "-q", LIVE], cwd=ROOT, check=False)
    if live.returncode:
        failed.append("live")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def folder(name: str) -> Path:
    """Its root file system, outside of the repository."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(cache) / "titik-foreign" / name


def python(name: str) -> Path:
    """What runs its Python, and what that takes for its own name: children are foreign too."""
    return folder(name) / "usr" / "bin" / "python3"


def install(name: str) -> None:
    """Unpack the root, or use it again if it holds what is wanted."""
    place = folder(name)
    stamp, wanted = place / "wanted.txt", " ".join((SUITE, PACKAGES, *TOOLS, str(place)))
    if stamp.exists() and stamp.read_text() == wanted:
        return
    started = time.monotonic()
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "-q", "--variant=extract", f"--architectures={name}"]
    subprocess.run([*command, f"--include={PACKAGES}", SUITE, str(place), MIRROR], check=True)
    libraries = place / "usr" / "lib" / "python3" / "dist-packages"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(libraries), "--upgrade"]
    pip += ["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"]
    subprocess.run([*pip, f"--python-version={PYTHON}", *TOOLS], check=True)
    wrapper = python(name)
    wrapper.unlink()
    emulator = f"{EMULATORS[name]} -L {place} -0 {wrapper}"
    wrapper.write_text(f'#!/bin/sh\nexec {emulator} {wrapper.with_name("python" + PYTHON)} "$@"\n')
    wrapper.chmod(0o755)
    stamp.write_text(wanted)
    print(f"== {name}: root file system unpacked in {time.monotonic() - started:.0f} s", flush=True)


def passes(name: str) -> bool:
    """The contract's and the agent's tests."""
    started = time.monotonic()
    command = [str(python(name)), "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    command += [f"--deselect={one}" for one in NOT_EMULATED]
    done = subprocess.run(command, cwd=ROOT, check=False, text=True, capture_output=True)
    output = (done.stdout + done.stderr).strip()
    if done.returncode == 0:
        output = output.splitlines()[-1]
    print(f"== {name}, {time.monotonic() - started:.0f} s: {output}", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    main()
