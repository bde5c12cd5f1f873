"""How many different clients there were today. Read it after the source that feeds the sketch."""

from titik_agent.sampling.visitor_sketch import Sketch
from titik_wire.messages import Visitors


class VisitorsSource:
    """The section `visitors`."""

    name = "visitors"
    field = "visitors"

    def __init__(self, sketch: Sketch) -> None:
        self._sketch = sketch

    def read(self) -> Visitors | None:
        return self._sketch.visitors()
