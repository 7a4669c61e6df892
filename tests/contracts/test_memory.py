"""What a function's memory buys, and how much it may have, is the same to each package; a changed copy fails here."""

import pytest
from openclip_lambda.batch import costs, measured

from handler.engines import threads
from infra import assembly
from infra.settings import StackSettings
from layer import engines
from layer.naming import memory
from layer.registry import cost, memory_setting
from tests.contracts.agreement import agree


def two_threads() -> None:
    agree(
        "MB of the first memory setting that buys two threads",
        {
            "handler/engines/threads.py": next(mb for mb in range(5_000) if round(mb / threads.MB_PER_VCPU) == 2),
            "infra/assembly.py": assembly.TWO_THREADS,
            "layer/engines.py": engines.TWO_THREADS,
        },
    )


def test_the_memory_from_which_an_engine_starts_two_threads() -> None:
    two_threads()


@pytest.mark.parametrize("where", [assembly, engines])
def test_a_changed_copy_is_named(where: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "TWO_THREADS", 1770)
    with pytest.raises(AssertionError, match=r"handler/engines/threads\.py"):
        two_threads()


def test_the_memory_that_buys_one_processor() -> None:
    agree(
        "MB of one vCPU",
        {
            "handler/engines/threads.py": threads.MB_PER_VCPU,
            "layer/registry/cost.py": cost.MB_PER_VCPU,
            "client/src/openclip_lambda/batch/costs.py": costs.MB_PER_VCPU,
        },
    )


def test_the_memory_that_a_function_may_have() -> None:
    bounds = StackSettings.model_fields["memory"].metadata
    least, most = (next(getattr(one, name) for one in bounds if hasattr(one, name)) for name in ("ge", "le"))
    agree(
        "MB that a function may have",
        {"infra/settings.py": (least, most), "layer/naming/memory.py": (memory.MIN_MB, memory.MAX_MB)},
    )


def test_the_memory_that_a_deployment_takes_unless_told() -> None:
    estimated = {
        (row["model"], f"{row['engine']} {row['precision']}"): row
        for row in memory_setting.rows_measured()
        if row["model"] in measured.MODELS and row["engine"] != "plain recipe"
    }
    assert len(estimated) >= 6
    agree(
        "MB of a worker by model and recipe",
        {
            "layer/registry/memory_settings.json": {
                place: memory_setting.choose(row["warm"], int(row["peak"])).default for place, row in estimated.items()
            },
            "client/src/openclip_lambda/batch/measured.py": {
                place: measured.measured(*place)[2] for place in estimated
            },
        },
    )
