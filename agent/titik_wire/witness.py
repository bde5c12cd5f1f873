"""The name in a witness: a certificate by which a city proves new authorities to its routers.

Rule: it follows from the edition and from every authority, so a witness proves these alone.
"""

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

_SUFFIX: Final = ".authorities.titik.invalid"  # no public authority may sign for .invalid


def witness_name(edition: int, authorities: Iterable[bytes]) -> str:
    """A DNS name, of authorities in DER."""
    whole = hashlib.sha256(b"%d\n" % edition)
    for one in sorted(authorities):
        whole.update(hashlib.sha256(one).digest())
    return base64.b32encode(whole.digest()).decode().rstrip("=").lower() + _SUFFIX
