"""Modules that libraries import at their top and use rarely or never, imported when first used.

Measured with Debian's Python 3.11 on x86-64: 4.6 MB less resident memory, of 27.

Rule: a stand-in becomes the true module at the first use of anything in it, so nothing can be
missing: a traceback prints as usual, and only then is its code read.
Rule: a module that somebody has loaded already is left alone. After `finish`, an import gives the
true one.

`import titik_agent.lazy_imports.later` comes before whatever imports them; `finish` after it.
"""

import sys
from types import ModuleType

# Who imports it: dataclasses (0.8 MB with ast, dis and tokenize), psutil (0.4 MB with locale and
# selectors), logging (0.2 MB), ssl, psutil and paho (0.1 MB each). The second row is paho's, for
# websockets, proxies and client ids that we never ask for: 3 MB with http.client and email.
RARE = (
    *("inspect", "subprocess", "traceback", "base64", "datetime", "selectors", "platform"),
    *("hashlib", "urllib.parse", "urllib.request", "uuid"),
)
# paho's too, where somebody installed dnspython: 3 MB for a search that we never ask for.
PERHAPS = ("dns", "dns.resolver")


class Later(ModuleType):
    """Stands in for a module until something of it is used."""

    def __getattr__(self, name: str) -> object:
        # Python asks modules for dunder names of its own accord.
        if name.startswith("__"):
            raise AttributeError(name)
        true = _import(self)
        vars(self).update((key, value) for key, value in vars(true).items() if key[:2] != "__")
        return getattr(true, name)


def put_off(*names: str) -> None:
    """Let stand-ins be imported in place of those that are not loaded yet."""
    for name in names:
        sys.modules.setdefault(name, Later(name))


def finish() -> None:
    """From now on an import gives the true module; who holds a stand-in keeps it."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, Later):
            del sys.modules[name]


def _import(stand_in: Later) -> ModuleType:
    name = stand_in.__name__
    if sys.modules.get(name) is stand_in:
        del sys.modules[name]
    __import__(name)
    return sys.modules[name]


put_off(*RARE, *PERHAPS)
if isinstance(sys.modules["platform"], Later):
    vars(sys.modules["platform"])["system"] = sys.platform.capitalize  # paho asks at its top
