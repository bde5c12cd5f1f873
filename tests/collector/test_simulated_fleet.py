"""A simulated router reports what a real one does."""

from zoneinfo import ZoneInfo

from titik_collector.simulation.fleet import Plan, WorldTime, build


def test_a_simulated_router_reports_itself_as_a_computer() -> None:
    """So a technician reads the same of it in a demo."""
    zone = ZoneInfo("Asia/Makassar")
    plans = [Plan("tirosa-1", "taman-tirosa", 150, None)]
    fleet = build(plans, "127.0.0.1", 1, 15.0, WorldTime(zone, 1.0), 1, 1.0)
    (node,) = fleet.nodes
    sample, _ = node.sampler.take()
    fleet.stop()
    assert () == sample.agent.failed
    assert sample.host is not None
    known = (sample.host.temp_c, sample.host.load_1m, sample.host.mem_available_bytes)
    assert None not in known
