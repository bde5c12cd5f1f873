"""The contract between routers, the collector and engineers: messages, topics and their JSON.

Rule: only the standard library is imported here, because a router installs this package.
Rule: nothing here reads a socket, a file or a clock.
"""

from titik_wire.errors import UnknownVersion, WireError

__all__ = ["UnknownVersion", "WireError", "__version__"]

# The distribution's version too: an OpenWrt package carries no dist-info to read it from.
__version__ = "0.1.0"
