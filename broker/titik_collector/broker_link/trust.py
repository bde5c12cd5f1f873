"""How the server half checks a broker's certificate.

Rule: an authority that a city has trusted for years stays trusted, whichever Python comes.
"""

import ssl
from pathlib import Path


def trusting(ca_file: str | Path, check_hostname: bool = True) -> ssl.SSLContext:
    """For a client that trusts these authorities; OSError if they cannot be read."""
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = check_hostname
    # Python 3.13 began to refuse certificates without an Authority Key Identifier, which those that
    # Titik made at first lack. They are checked as before; only this strictness is off.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
