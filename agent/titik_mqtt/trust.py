"""How a broker's certificate is checked.

Rule: TLS is 1.2 or later.
Rule: an authority that was trusted for years stays trusted, whichever Python comes.
"""

import ssl

from titik_mqtt.endpoint import Tls


def context(tls: Tls) -> ssl.SSLContext:
    """For a client; OSError if a file cannot be read, or the certificate and key do not fit."""
    made = ssl.create_default_context(cafile=tls.ca_file)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = tls.check_hostname
    # Python 3.13 began to refuse certificates without an Authority Key Identifier and CAs without a
    # key usage; those that Titik made at first lack them. An upgrade of Python must not cut a
    # router or a collector off. They are checked as before; only this strictness is off.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if tls.cert_file is not None:
        made.load_cert_chain(tls.cert_file, tls.key_file)
    return made
