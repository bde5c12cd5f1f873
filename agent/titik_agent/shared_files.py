"""The files of checkpoint, counters, uplinks and probe, in folders where others may write too.

Rule: no link that somebody else put there is followed, and no pipe is waited for.
Rule: what the agent keeps is in a folder of its user's own, where no other user may write.
"""

import os
import stat
from typing import Final

_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class NotOurs(OSError):
    """Somebody else may change what is in the folder; the text says what to do."""


def check_own(directory: str) -> None:
    """NotOurs unless the folder is this user's, and no other may write in it."""
    check_closed(directory)
    whose, us = os.stat(directory).st_uid, os.geteuid()
    if whose != us:
        raise NotOurs(f"{directory} is user {whose}'s, not this user's ({us}); name another")


def check_closed(directory: str) -> None:
    """NotOurs if others than its owner may write in the folder."""
    check_link(directory)
    if os.stat(directory).st_mode & _OTHERS:
        raise NotOurs(f"others may write in {directory}: chmod go-w {directory}")


def check_link(directory: str) -> None:
    """NotOurs if the folder's name is a link of somebody else's."""
    link = os.lstat(directory)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (os.geteuid(), 0):
        raise NotOurs(f"{directory} is a link of user {link.st_uid}'s: remove it")


def open_found(path: str) -> int:
    """A descriptor to read a file that is there; OSError where it is a link."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def open_new(path: str, mode: int = 0o600) -> int:
    """A descriptor of a new file in the place of whatever has this name."""
    if os.path.lexists(path):
        os.unlink(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def replace(path: str, content: bytes, mode: int = 0o600) -> None:
    """Write a file whole, so that its reader never sees half of one."""
    new = path + ".new"
    with open(open_new(new, mode), "wb") as file:
        file.write(content)
    os.replace(new, path)


def open_kept(path: str) -> int:
    """A descriptor of a file that stays from run to run, made if it is missing; nothing is cut."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags, 0o600)
