"""Questions to the store, answered as frozen data; no screen, no colour."""
