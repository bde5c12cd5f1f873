"""Runs in Home Assistant's own Python: are devices valid by its schemas, and what are its rules?

Devices come as a JSON object on standard input, payloads by topic. The rules go to standard output
as JSON. What is not valid is an exception.

Rule: it imports nothing of Titik, and Home Assistant only by name, for Titik's Python lacks it.
"""

import json
import logging
import re
import sys
from importlib import import_module
from typing import Any

PARTS = ("sensor", "binary_sensor")
LISTS = {
    "sensor_classes": ("sensor", "SensorDeviceClass"),
    "binary_sensor_classes": ("binary_sensor", "BinarySensorDeviceClass"),
    "state_classes": ("sensor", "SensorStateClass"),
}


def mqtt(name: str) -> Any:
    """A module of its MQTT integration."""
    return import_module(f"homeassistant.components.mqtt.{name}")


def keys(schema: Any) -> list[str]:
    """Of a schema, or of those that it is made of."""
    if hasattr(schema, "validators"):
        return sorted({key for one in schema.validators for key in keys(one)})
    found = schema if isinstance(schema, dict) else getattr(schema, "schema", None)
    return sorted(map(str, found)) if isinstance(found, dict) else []


def rules() -> dict[str, Any]:
    """What a device may have."""
    short, schemas, topic = mqtt("abbreviations"), mqtt("schemas"), mqtt("discovery").TOPIC_MATCHER
    (listed,) = [
        validator.validators[1][0]
        for key, validator in schemas._MQTT_AVAILABILITY_LIST_SCHEMA.schema.items()
        if key == "availability"
    ]
    constants = import_module("homeassistant.const")
    return {
        "version": constants.__version__,
        "object_id": re.findall(r"P<object_id>([^)]*)", topic.pattern)[0],
        "abbreviations": {
            "config": short.ABBREVIATIONS,
            "device": short.DEVICE_ABBREVIATIONS,
            "origin": short.ORIGIN_ABBREVIATIONS,
        },
        "device": keys(schemas.MQTT_ENTITY_DEVICE_INFO_SCHEMA),
        "origin": keys(schemas.MQTT_ORIGIN_INFO_SCHEMA),
        "shared": keys(schemas.DEVICE_DISCOVERY_SCHEMA),
        "availability": keys(listed),
        "availability_modes": list(mqtt("const").AVAILABILITY_MODES),
        **{part: keys(mqtt(part).DISCOVERY_SCHEMA) for part in PARTS},
        **{
            name: sorted(getattr(import_module(f"homeassistant.components.{part}"), kind))
            for name, (part, kind) in LISTS.items()
        },
        "data_rate_units": sorted(constants.UnitOfDataRate),
    }


def check(topic: str, payload: str) -> None:
    """As it does when the message comes: long names first, then the device, then each entity."""
    discovery, schemas = mqtt("discovery"), mqtt("schemas")
    found = discovery.TOPIC_MATCHER.match(topic.removeprefix("homeassistant/"))
    assert "device" == found["component"]
    device = discovery.MQTTDiscoveryPayload(json.loads(payload))
    discovery._replace_all_abbreviations(device)
    schemas.DEVICE_DISCOVERY_SCHEMA(device)
    for name, entity in device["components"].items():
        config = discovery.MQTTDiscoveryPayload(entity)
        discovery._merge_common_device_options(config, device)
        module = mqtt(config.pop("platform"))
        unknown = set(config) - set(keys(module.DISCOVERY_SCHEMA))
        assert not unknown, (name, unknown)  # it would drop them without a word
        module.DISCOVERY_SCHEMA({**config, "device": device["device"], "origin": device["origin"]})


if __name__ == "__main__":
    logging.disable()  # it warns of each use of a schema outside of its loop
    for one in json.load(sys.stdin).items():
        check(*one)
    print(json.dumps(rules(), indent=1, sort_keys=True))
