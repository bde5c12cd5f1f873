"""No test meets a short deadline of the agent unless it sets one: a busy machine is no failure."""

from types import ModuleType

import pytest

from tests.until import PATIENCE_S
from titik_agent.hostapd import control_socket
from titik_agent.sampling import watchdog
from titik_agent.sources import hostapd_control, hostapd_ubus, rtnetlink, slow

SHORT: tuple[tuple[ModuleType, str], ...] = (
    (control_socket, "REQUEST_S"),
    (hostapd_control, "READ_S"),
    (hostapd_ubus, "READ_S"),
    (hostapd_ubus, "CALL_S"),
    (rtnetlink, "WAIT_S"),
    (slow, "PATIENCE_S"),
    (watchdog, "DEADLINE_S"),
)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody who answers is waited for; a test of a hang shortens what it waits for."""
    for module, name in SHORT:
        monkeypatch.setattr(module, name, PATIENCE_S)
