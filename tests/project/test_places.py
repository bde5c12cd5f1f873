"""What stands in one file, so that a reader finds all of it there: topics, limits, defaults."""

import ast
import re
from pathlib import Path

import pytest

from tests.project.sources import PACKAGES, files, nodes
from titik_wire import topics

BEGINS_A_TOPIC = re.compile(rf"{topics.PREFIX}|\$(SYS|CONTROL)/")
# Reads a file of an earlier version, whose lines hold topics.
FORMER = {"access/acl_files.py"}


@pytest.mark.thorough
@pytest.mark.parametrize("package", PACKAGES)
def test_every_topic_is_built_in_one_file(package: str) -> None:
    """Others ask `titik_wire.topics`; a plugin's rights and the lines of a help do so too."""
    assert set() == {
        (str(file.relative_to(PACKAGES[package])), node.lineno)
        for file in files(package)
        if file.name != "topics.py" or package != "titik_wire"
        for node in nodes(file)
        if isinstance(node, ast.expr) and _is_a_topic(node, file, package)
    }


def _is_a_topic(node: ast.expr, file: Path, package: str) -> bool:
    """A text with a topic in it, or what one would be built from."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and BEGINS_A_TOPIC.search(node.value) is not None
    allowed = package == "titik_collector" and str(file.relative_to(PACKAGES[package])) in FORMER
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name == "PREFIX" and not allowed


LIMITS = {"titik_mqtt": "dial.py"}  # which has one, beside what keeps to it


@pytest.mark.parametrize("package", PACKAGES)
def test_every_limit_stands_in_one_file(package: str) -> None:
    """How much and how many at most is a name `MAX_...`; how long stands where time passes."""
    assert {LIMITS.get(package, "limits.py")} == {
        str(file.relative_to(PACKAGES[package]))
        for file in files(package)
        for node in nodes(file)
        if isinstance(node, ast.Name | ast.alias) and _is_new_limit(node)
    }


def _is_new_limit(node: ast.Name | ast.alias) -> bool:
    """A name that is assigned, or given to what was imported under another."""
    if isinstance(node, ast.alias):
        return (node.asname or "").lstrip("_").startswith("MAX_")
    return isinstance(node.ctx, ast.Store) and node.id.lstrip("_").startswith("MAX_")


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_cut_is_cut_at_a_limit_with_a_name(package: str) -> None:
    """A short head of digits or of a hash is no limit."""
    assert set() == {
        (str(file.relative_to(PACKAGES[package])), node.lineno)
        for file in files(package)
        for node in nodes(file)
        if isinstance(node, ast.Slice) and node.lower is None
        if isinstance(node.upper, ast.Constant) and isinstance(node.upper.value, int)
        if node.upper.value > 32
    }


# Which hold the defaults of each half, and what both halves begin with.
DEFAULTS = {
    "titik_agent": "config.py",
    "titik_collector": "config/model.py",
    "titik_mqtt": "endpoint.py",
}
LOOPBACK = re.compile(r"(?<![\d.])127\.0\.0\.1(?![\d.])")
FOLDER = re.compile(r"/(etc|run|var/lib)/titik(/|\Z)")


WRITTEN = ("broker_setup/mosquitto/broker.conf.in", "units/systemd_units.py")
LIMITING = re.compile(r"(?:max_packet_size |max_queued_\w+ |MemoryMax=|LimitNOFILE=|TasksMax=)\d+")


@pytest.mark.parametrize("name", WRITTEN)
def test_what_others_read_has_its_limits_from_there(name: str) -> None:
    """mosquitto and systemd get the numbers of the limits, not numbers of their own."""
    assert [] == LIMITING.findall((PACKAGES["titik_collector"] / name).read_text())


@pytest.mark.parametrize("package", PACKAGES)
def test_a_default_of_place_stands_in_one_file(package: str) -> None:
    """MQTT's ports, this machine's address and our folders; others import them."""
    assert set() == {
        (str(file.relative_to(PACKAGES[package])), node.lineno)
        for file in files(package)
        if str(file.relative_to(PACKAGES[package])) != DEFAULTS.get(package)
        for node in nodes(file)
        if isinstance(node, ast.Constant) and _is_a_place(node.value)
    }


def _is_a_place(value: object) -> bool:
    """In a text, where it is no sentence: a docstring may name a folder."""
    if isinstance(value, str):
        return FOLDER.match(value) is not None or LOOPBACK.search(value) is not None
    return value in (1883, 8883)


def test_a_default_of_a_command_is_a_name() -> None:
    """The file of the defaults has its value, and so those of all commands."""
    assert set() == {
        (file.name, node.value.lineno)
        for package in PACKAGES
        for file in files(package)
        if "commands" in (file.stem, file.parent.name)
        for node in nodes(file)
        if isinstance(node, ast.keyword) and node.arg == "default"
        if not isinstance(node.value, ast.Name | ast.Attribute)
    }
