"""Why there is no feed."""

from titik_collector.wording.mendable import Mendable


class FeedError(Mendable):
    """A key or a package is missing, damaged or another's; the text says what to do."""
