"""What to check is named by keys that the half's configuration has."""

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import get_type_hints

import pytest

from titik_agent.broker_link.link import RouterRemedies
from titik_agent.config import Config as AgentConfig
from titik_collector.broker_link.remedies import CollectorRemedies
from titik_collector.config.model import Config as CollectorConfig
from titik_mqtt.failures import Remedies

KEY = re.compile(r"\b(broker|collector)\.(\w+)")


def advice(of: type[Remedies]) -> Iterator[str]:
    """Every text of a half."""
    for name in vars(Remedies):
        if not name.startswith("_"):
            yield getattr(of, name)


@pytest.mark.parametrize(
    ("remedies", "config"),
    [(RouterRemedies, AgentConfig), (CollectorRemedies, CollectorConfig)],
)
def test_every_key_in_a_remedy_is_in_the_configuration(
    remedies: type[Remedies], config: type
) -> None:
    """An operator who looks for it finds it."""
    named = {found for text in advice(remedies) for found in KEY.findall(text)}
    assert len(named) > 3
    sections = get_type_hints(config)
    held = {(name, one.name) for name, _ in named for one in fields(sections[name])}
    assert set() == named - held


@pytest.mark.parametrize("remedies", [RouterRemedies, CollectorRemedies])
def test_a_half_overrides_what_there_is(remedies: type[Remedies]) -> None:
    """A misspelt field would be advice that nobody reads."""
    assert {name for name in vars(remedies) if name[0] != "_"} <= set(vars(Remedies))
