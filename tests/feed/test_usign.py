"""Keys and signatures of opkg's feed, against signify, which has usign's format."""

import base64
import os
import subprocess
from pathlib import Path

import pytest

from titik_collector.feed import usign
from titik_collector.feed.feed_error import FeedError

pytestmark = pytest.mark.system

MESSAGE = b"Package: titik-agent\n"


def signify(*words: str) -> bool:
    """Whether it has done what it was asked for."""
    return subprocess.run(["signify-openbsd", *words], capture_output=True).returncode == 0


def verifies(folder: Path, public: str, signature: str, message: bytes) -> bool:
    """What signify says of a signature."""
    for name, content in (("pub", public), ("sig", signature)):
        (folder / name).write_text(content)
    (folder / "message").write_bytes(message)
    files = ("-p", f"{folder}/pub", "-x", f"{folder}/sig", "-m", f"{folder}/message")
    return signify("-V", *files)


def test_signify_verifies_what_is_signed(tmp_path: Path) -> None:
    """With the key that routers get, and nothing that differs by a byte."""
    key, other = (usign.generate(os.urandom) for _ in range(2))
    signature = key.sign(MESSAGE)
    assert verifies(tmp_path, key.public_text, signature, MESSAGE)
    assert not verifies(tmp_path, key.public_text, signature, MESSAGE + b" ")
    assert not verifies(tmp_path, other.public_text, signature, MESSAGE)
    assert not verifies(tmp_path, key.public_text, other.sign(MESSAGE), MESSAGE)


def test_a_key_of_signify_signs(tmp_path: Path) -> None:
    """An operator may have one; its id is in the signature."""
    files = ("-p", f"{tmp_path}/key.pub", "-s", f"{tmp_path}/key.sec")
    assert signify("-G", "-n", *files)
    key = usign.read((tmp_path / "key.sec").read_text())
    public = (tmp_path / "key.pub").read_text()
    assert public.splitlines()[1] == key.public_text.splitlines()[1]
    assert verifies(tmp_path, public, key.sign(MESSAGE), MESSAGE)


def test_signify_signs_with_our_key(tmp_path: Path) -> None:
    """So the secret key is theirs to the byte, and is read again."""
    key = usign.generate(os.urandom)
    (tmp_path / "key.sec").write_text(key.secret_text)
    (tmp_path / "message").write_bytes(MESSAGE)
    files = ("-s", f"{tmp_path}/key.sec", "-x", f"{tmp_path}/own", "-m", f"{tmp_path}/message")
    assert signify("-S", *files)
    assert verifies(tmp_path, key.public_text, (tmp_path / "own").read_text(), MESSAGE)
    assert key == usign.read(key.secret_text)


def test_a_fingerprint_is_a_number_without_zeros_before_it() -> None:
    """The file's name below /etc/opkg/keys, as usign prints it."""
    key = usign.OpkgKey(bytes.fromhex("00a1b2c3d4e5f607"), bytes(32))
    assert "a1b2c3d4e5f607" == key.fingerprint


def test_a_key_shows_nothing_of_itself() -> None:
    """In a log or a traceback."""
    key = usign.generate(os.urandom)
    assert f"OpkgKey({key.fingerprint})" == repr(key)


def secret_with(at: int, byte: int) -> str:
    """A secret key with one byte changed."""
    lines = usign.generate(os.urandom).secret_text.splitlines()
    raw = bytearray(base64.b64decode(lines[1]))
    raw[at] = byte
    return f"{lines[0]}\n{base64.b64encode(bytes(raw)).decode()}\n"


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("", "no secret key"),
        ("untrusted comment: x\nnot base64!\n", "no secret key"),
        ("untrusted comment: x\nRWTy\n", "no secret key"),
        (secret_with(7, 42), "has a password"),
        (secret_with(0, 0), "is damaged"),
    ],
)
def test_what_is_no_key_is_refused_with_a_remedy(text: str, output: str) -> None:
    """A password, because nobody types it where feeds are made."""
    with pytest.raises(FeedError, match=output):
        usign.read(text)
