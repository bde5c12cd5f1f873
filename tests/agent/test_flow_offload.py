"""Whether packets pass the byte counters by, from what any user may read of the kernel."""

from pathlib import Path

import pytest

from titik_agent.sampling.source import SourceError
from titik_agent.sources.flow_offload import FlowOffload, is_used

CAPTURE = (Path(__file__).parents[1] / "captures/hwsim/proc_modules_flow_offload.txt").read_text()
LOADED, USED, REMOVED = CAPTURE.split("--\n")


def source(tmp_path: Path, modules: str) -> FlowOffload:
    """One that reads this."""
    file = tmp_path / "modules"
    file.write_text(modules)
    return FlowOffload(str(file))


@pytest.mark.parametrize(("modules", "found"), [(LOADED, None), (USED, True), (REMOVED, None)])
def test_a_rule_of_the_firewall_that_uses_it_shows(
    tmp_path: Path, modules: str, found: bool | None
) -> None:
    """What Debian's kernel listed before, with and after a rule; the module is always there."""
    assert "nft_flow_offload " in modules
    assert found is source(tmp_path, modules).read()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"xt_FLOWOFFLOAD 16384 2 - Live 0x0\n", True),  # fw3, of older releases
        (b"nft_flow_offload 16384 - - Live 0x0\n", False),  # a kernel that does not count
        (b"nf_flow_table 49152 2 nft_flow_offload,nf_flow_table_inet, Live 0x0\n", False),
        (b"nft_flow_offload\n", False),
        (b"", False),
    ],
)
def test_only_a_count_of_users_is_believed(line: bytes, found: bool) -> None:
    """Not that the module is there, nor that another builds on it."""
    assert found is is_used(line)


def test_a_kernel_without_modules_says_nothing(tmp_path: Path) -> None:
    """As containers and small machines have it; what cannot be read is a failed source."""
    assert FlowOffload(str(tmp_path / "none")).read() is None
    with pytest.raises(SourceError):
        FlowOffload(str(tmp_path)).read()
