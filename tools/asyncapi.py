"""The contract as an AsyncAPI 3 document, for code generators and for other people's tools."""

import json
import re
from typing import Any, Final

from titik_wire.kinds import SLUG
from titik_wire.limits import MAX_PAYLOAD
from titik_wire.messages import Held
from tools import schemas
from tools.contract import CHANNELS, MESSAGES, Channel, about, parts

PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "router": {"description": f"the router's slug, {SLUG}"},
    "collector": {"description": f"the collector's slug, {SLUG}"},
    "name": {"description": f"the slug of the router, site, city or collector, {SLUG}"},
    "scope": {
        "description": "what an alert is about",
        "enum": ["router", "site", "city", "server"],
    },
    "kind": {"description": f"the rule of an alert, {SLUG}"},
    "window": {"description": "length of the window", "enum": ["1m", "1h", "1d"]},
}


def text() -> str:
    """The document as it is checked in."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def document() -> dict[str, Any]:
    """The document; https://www.asyncapi.com/docs/reference/specification/v3.0.0."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Titik",
            "version": "1",
            "description": (
                "Client counts and throughput of public Wi-Fi hotspots, from OpenWrt routers over "
                f"MQTT 5. A message is one JSON object of at most {MAX_PAYLOAD} bytes; on `sample` "
                "and `backlog` it may come packed: a byte 0x01, then raw DEFLATE with the preset "
                "dictionary of agent/titik_wire/packed.py. Absent "
                "means not read, null is not used, 0 means zero; readers ignore fields they do "
                "not know. Generated from agent/titik_wire; docs/wire.md explains it."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {f"send{_title(one.name)}": _operation(one) for one in CHANNELS},
        "components": {
            "messages": {
                cls.__name__: {
                    "name": cls.__name__,
                    "summary": about(cls).splitlines()[0],
                    "contentType": "application/json",
                    "payload": {"$ref": schemas.REFERENCE + cls.__name__},
                }
                for cls in MESSAGES
            },
            # Held is a pair on the wire; `spool` says so in place.
            "schemas": {cls.__name__: schemas.of_class(cls) for cls in parts() if cls is not Held},
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", channel.address)
    message = channel.message.__name__
    plain: dict[str, Any] = {
        "address": channel.address,
        "description": channel.meaning,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }
    if names:
        plain["parameters"] = {name: PARAMETERS[name] for name in names}
    return plain


def _operation(channel: Channel) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": f"From the {channel.author}; retained: {channel.retained}",
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retained != "no"}},
    }


def _title(name: str) -> str:
    return name[0].upper() + name[1:]
