"""What the kernel says a process uses: memory in bytes, CPU time to the nanosecond, wake-ups."""

import os


def rss(pid: int) -> int:
    """Resident bytes."""
    return _kilobytes(f"/proc/{pid}/status", "VmRSS:")


def pss(pid: int) -> int:
    """Resident bytes, those shared with other processes divided by their number."""
    return _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:")


def private(pid: int) -> int:
    """Bytes that it has written and shares with nobody: no other process or file has them."""
    return _kilobytes(f"/proc/{pid}/smaps_rollup", "Private_Dirty:")


def cpu_s(pid: int) -> float:
    """Seconds that all its living threads ran; /proc/PID/stat counts in steps of 10 ms."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def wakeups(pid: int) -> int:
    """How often its living threads slept, each once for each time that it was woken."""
    tasks = os.listdir(f"/proc/{pid}/task")
    label = "voluntary_ctxt_switches:"
    return sum(_number(f"/proc/{pid}/task/{task}/status", label) for task in tasks)


def _kilobytes(path: str, label: str) -> int:
    return _number(path, label) * 1024


def _number(path: str, label: str) -> int:
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(label):
                return int(line.split()[1])
    raise ValueError(f"{path} has no {label}")
