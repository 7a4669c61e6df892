"""The share of processors of a memory setting, who holds a child to it, and the page of prices."""

import pytest

from benchmarks import cost, cost_page
from benchmarks.limits import PERIOD, own_groups, quota


@pytest.mark.parametrize(("memory", "processors"), [(1769, 1), (3538, 2), (1024, 0.5789), (3008, 1.7004)])
def test_a_setting_buys_a_vcpu_for_each_1769_mb(memory: int, processors: float) -> None:
    assert quota(memory) / PERIOD == pytest.approx(processors, abs=1e-3)


def test_the_groups_of_a_process_are_read_of_either_version() -> None:
    assert own_groups("4:memory:/a/b\n2:cpu,cpuacct:/c\n0::/\n") == {
        "memory": "/a/b", "cpu": "/c", "cpuacct": "/c", "": "/"
    }  # fmt: skip
    assert own_groups("0::/user.slice/x.scope\n") == {"": "/user.slice/x.scope"}


def row(caption: float) -> dict[str, object]:
    warm = {name: {"1769": 0.03, "3538": 0.02} for name in cost_page.WORKLOADS} | {"caption": {"1769": caption}}
    facts = {"model": "ViT-B-32", "engine": "onnx", "precision": "int8", "peak": 1, "cold": {"1769": 0.5}}
    return {**facts, "warm": warm}


@pytest.mark.parametrize(
    # $0.30 of a caption alone: 0.0035 s * 1.7275 GB * 16.67 + 0.20; with the gateway's 1.20 it is 1.50.
    ("caption", "said"), [(0.0035, "$1.50 behind the HTTP API"), (0.1, "$3.08 without any gateway, Nova $1.35")]
)  # fmt: skip
def test_where_nova_is_cheaper_the_page_says_so(caption: float, said: str) -> None:
    assert cost.hosted(0.00006, 0.000135) == pytest.approx((60.0, 1.35))
    page = cost_page.markdown({"date": "d", "machine": "m", "limits": "l", "rows": [row(caption)]})
    assert said in page
    assert "**Where Nova is cheaper" in page


def test_where_nova_is_cheaper_nowhere_the_page_says_that() -> None:
    page = cost_page.markdown({"date": "d", "machine": "m", "limits": "l", "rows": [row(-0.01)]})
    assert "Nova is cheaper nowhere" in page
