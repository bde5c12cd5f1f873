"""What hostapd calls the states of a radio, in the words that ubus and control interface share."""

from typing import Final

# In these a radio sends no beacon, so nobody can be its client: no channel yet, radar, a failed
# start. ENABLED is the one on the air. A word that a later hostapd adds counts as on the air: its
# clients are then reported as ever.
OFF_AIR: Final = frozenset(
    ("UNINITIALIZED", "DISABLED", "COUNTRY_UPDATE", "ACS", "HT_SCAN", "DFS", "NO_IR")
)
