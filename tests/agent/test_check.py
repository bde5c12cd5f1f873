"""What `titik-agent check` says to an installer."""

from titik_agent import check, dial


def test_a_host_that_no_name_can_be_is_said_with_its_key() -> None:
    """A typing error in the configuration gives a line with the remedy, not a traceback."""
    said: list[str] = []
    reached = check.broker(dial.Broker("mq..example", 1883, "tirosa-1"), said.append)

    assert not reached
    assert ["FAIL  dns: mq..example"] == [line[:22] for line in said]
    assert "check broker.host" in said[0]
