"""Keys and signatures as usign and signify write them: opkg trusts nothing else.

Each is a text of two lines, a comment and base64. Eight random bytes identify a key: they are in
whatever it has signed, and in hexadecimal they are its file's name below /etc/opkg/keys.

Rule: no key has a password, because nobody is there to type it when a feed is made.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from titik_collector.feed.feed_error import FeedError

_ALGORITHM, _NO_KDF = b"Ed", b"BK"
_ID = 8  # bytes
_SEED = 32  # bytes, as many as the public key
# Algorithms, rounds of the password's hash, its salt, a checksum, the id, and both halves.
_SECRET = struct.Struct(">2s2sI16s8s8s32s32s")


@dataclass(frozen=True, slots=True)
class OpkgKey:
    """A secret key; what it prints shows nothing of it."""

    key_id: bytes
    seed: bytes

    def __repr__(self) -> str:
        return f"OpkgKey({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """The name of its file on a router; usign writes a number, without zeros before it."""
        return f"{int.from_bytes(self.key_id, 'big'):x}"

    @property
    def public_text(self) -> str:
        """What a router trusts."""
        raw = _ALGORITHM + self.key_id + self._public
        return _text(f"public key {self.fingerprint}", raw)

    @property
    def secret_text(self) -> str:
        """What only who makes feeds may read."""
        both = self.seed + self._public
        raw = _SECRET.pack(
            _ALGORITHM, _NO_KDF, 0, bytes(16), hashlib.sha512(both).digest()[:8], self.key_id,
            self.seed, self._public,
        )  # fmt: skip
        return _text(f"private key {self.fingerprint}", raw)

    def sign(self, message: bytes) -> str:
        """The file that lies beside what was signed, `.sig` behind its name."""
        raw = _ALGORITHM + self.key_id + self._private.sign(message)
        return _text(f"signed by key {self.fingerprint}", raw)

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def _public(self) -> bytes:
        return self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def generate(random: Callable[[int], bytes]) -> OpkgKey:
    """A new key."""
    return OpkgKey(random(_ID), random(_SEED))


def read(text: str) -> OpkgKey:
    """A secret key that usign, signify or we have written."""
    lines = text.splitlines()
    try:
        algorithm, _, rounds, _, checksum, key_id, seed, public = _SECRET.unpack(
            base64.b64decode(lines[1] if len(lines) > 1 else "", validate=True)
        )
    except (binascii.Error, struct.error) as error:
        raise FeedError("it is no secret key of usign or signify") from error
    if rounds:
        raise FeedError("it has a password: make one without, with `signify-openbsd -G -n`")
    if algorithm != _ALGORITHM or checksum != hashlib.sha512(seed + public).digest()[:8]:
        raise FeedError("it is damaged: bring it back from a backup")
    return OpkgKey(key_id, seed)


def _text(comment: str, raw: bytes) -> str:
    return f"untrusted comment: {comment}\n{base64.b64encode(raw).decode()}\n"
