"""What a figure is of: a router, a site or the city."""

from typing import Literal

Scope = Literal["router", "site", "city"]
FOR_EVER_MS = 2**62
CITY_ID = 0
