"""A run against an account in memory: what is measured, what it costs, and that nothing stays however it ends."""

import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import destroy
from benchmarks.measure.builds import read
from benchmarks.measure.errors import BudgetError, MeasureError
from benchmarks.measure.leftovers import Record, Records
from benchmarks.measure.plan import Plan, plan
from benchmarks.measure.run import Run, Wanted, clean
from benchmarks.measure.stopping import stopping
from tests.infra import fake_build
from tests.unit.benchmarks import fake_aws
from tests.unit.benchmarks.fake_aws import FakeAws


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destroy, "PAUSE", 0.0)
    fake_aws.same_on_any_machine(monkeypatch)


@pytest.fixture
def aws(tmp_path: Path) -> FakeAws:
    return FakeAws(tmp_path)


def planned(aws: FakeAws, memory: tuple[int, ...] = (1024, 2048, 3008), starts: int = 30) -> Plan:
    return plan(list(memory), starts, 4, [2], 0.01, aws.free)


def measure(aws: FakeAws, wanted: Plan, budget: float = 1.0) -> None:
    build = aws.folder / "build"
    given = read(build if build.exists() else fake_build.write(build, "layer"))
    asked = Wanted(wanted, [given.target], given, Path("models.toml"), aws.folder / "out", budget, (), aws.cdk)
    with stopping() as state:
        Run(aws.account(), asked, state).all()


def written(aws: FakeAws) -> dict[str, Any]:
    (path,) = (aws.folder / "out").glob("*.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def nothing_left(aws: FakeAws) -> bool:
    return aws.stack is None and Records(aws.folder / "out").all() == []


def test_each_size_has_thirty_inits_and_thirty_restores_with_lambdas_figures(aws: FakeAws) -> None:
    measure(aws, planned(aws))

    content = written(aws)
    assert (content["platform"], content["complete"], content["region"]) == ("aws", True, "eu-west-1")
    (target,) = content["targets"]
    assert [row["memory_mb"] for row in target["memory"]] == [1024, 2048, 3008]
    for row in target["memory"]:
        init, restore = row["init"], row["restore"]
        assert init["init_ms"] == {"n": 30, "p20": 2000.5, "median": 2000.5, "p95": 2000.5}
        assert init["billed_init_ms"]["median"] == 2021
        assert (init["load_ms"]["n"], init["max_memory_mb"]) == (30, 333)
        assert restore["restore_ms"] == {"n": 30, "p20": 400.25, "median": 400.25, "p95": 400.25}
        assert restore["billed_restore_ms"]["median"] == 171
        assert row["concurrency"][0]["items_per_second"] > 0
    assert nothing_left(aws)


def test_the_figures_are_tied_to_the_bundle_and_the_package(aws: FakeAws) -> None:
    measure(aws, planned(aws, (1024,), 1))

    given, (target,) = read(aws.folder / "build"), written(aws)["targets"]
    assert target["manifest_sha256"] == given.manifest_sha256
    assert target["package_sha256"] == given.package_sha256
    assert f"manifest {given.manifest_sha256}" in next((aws.folder / "out").glob("*.md")).read_text()


def test_dollars_are_the_billed_time_at_list_price_and_a_request(aws: FakeAws) -> None:
    measure(aws, planned(aws, (2048,), 1))

    (row,) = written(aws)["targets"][0]["memory"]
    one, _, eight = row["warm"]
    assert one["dollars_per_million"] == pytest.approx(0.021 * 2 * 16.6667 + 0.20, abs=1e-4)
    assert eight["dollars_per_million"] == pytest.approx((0.021 * 2 * 16.6667 + 0.20) / 8, abs=1e-4)
    assert eight["ms_per_item"]["median"] == pytest.approx(fake_aws.WARM_MS / 8, abs=1e-3)


def test_a_new_account_s_ten_executions_take_several_snapshots_and_half_of_them_at_most(tmp_path: Path) -> None:
    aws = FakeAws(tmp_path, free=10)
    measure(aws, planned(aws, (1024,)))

    assert len(aws.published) == 6  # each for five at once
    assert written(aws)["targets"][0]["memory"][0]["restore"]["restore_ms"]["n"] == 30


def test_restores_that_found_an_environment_are_asked_for_again(aws: FakeAws) -> None:
    aws.reused = 7
    measure(aws, planned(aws, (1024,)))

    assert aws.published == [1024]
    assert written(aws)["targets"][0]["memory"][0]["restore"]["restore_ms"]["n"] == 30


def test_a_size_that_is_too_small_is_left_out_with_the_reason_and_the_others_are_measured(aws: FakeAws) -> None:
    aws.too_small = 1024
    measure(aws, planned(aws, (1024, 2048), 2))

    (target,) = written(aws)["targets"]
    assert "Runtime.OutOfMemory" in target["reasons"]["1024 MB"]
    assert [bool(row["warm"]) for row in target["memory"]] == [False, True]
    assert nothing_left(aws)


def test_an_invocation_without_a_report_is_done_again(aws: FakeAws) -> None:
    aws.unreported = 3
    measure(aws, planned(aws, (1024,), 6))

    (row,) = written(aws)["targets"][0]["memory"]
    assert row["init"]["init_ms"]["n"] == 6
    assert [one["ms_per_item"]["n"] for one in row["warm"]] == [4, 4, 4]


def test_where_no_size_works_the_run_fails_and_nothing_stays(aws: FakeAws) -> None:
    aws.too_small = 4096
    with pytest.raises(MeasureError, match=r"cold starts with 1,024 MB: no invocation succeeded: .*OutOfMemory"):
        measure(aws, planned(aws, (1024, 2048), 2))

    assert nothing_left(aws)


def test_what_a_killed_run_left_on_this_machine_goes_too(aws: FakeAws) -> None:
    scratch = aws.folder / "out" / ".unfinished" / "openclip-measure-0123abcd"
    scratch.mkdir(parents=True)
    (scratch / "outputs.json").write_text("{}")

    with stopping() as state:
        clean(Records(aws.folder / "out"), aws.account(), state)

    assert not scratch.exists()


def test_a_signal_that_was_ignored_before_is_ignored(aws: FakeAws) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        aws.stop_at = (5, signal.SIGHUP)
        measure(aws, planned(aws, (1024,), 1))
    finally:
        signal.signal(signal.SIGHUP, before)

    assert written(aws)["complete"]


def test_the_stack_is_nobody_s_but_the_account_s_and_named_as_no_other(aws: FakeAws) -> None:
    measure(aws, planned(aws, (1024,), 1))

    given = json.loads((aws.folder / "synthesized").read_text())
    assert {"auth=iam", "pages=false", "snap_start=true", "memory=1024"} <= set(given)
    assert next(one for one in given if one.startswith("stack_name=openclip-measure-")).partition("-")[2]


@pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, 6), (signal.SIGTERM, 15), (signal.SIGHUP, 15)])
def test_a_signal_at_any_call_leaves_nothing(tmp_path: Path, number: signal.Signals, step: int) -> None:
    (tmp_path / "whole").mkdir()
    whole = FakeAws(tmp_path / "whole")
    measure(whole, planned(whole, (1024,), 1))
    for call in range(1, len(whole.calls) + 1, step):
        (tmp_path / f"{call}").mkdir()
        aws = FakeAws(tmp_path / f"{call}")
        aws.stop_at = (call, number)

        with contextlib.suppress(KeyboardInterrupt):
            measure(aws, planned(aws, (1024,), 1))
            assert len(aws.calls) < call  # two callers in turns: one of them may send a request more or less

        assert nothing_left(aws), aws.calls


def test_a_deployment_that_fails_is_destroyed_and_its_reason_told(tmp_path: Path) -> None:
    aws = FakeAws(tmp_path, fails=True)

    with pytest.raises(MeasureError, match="cdk deploy ended with status 1:\nit was not to be"):
        measure(aws, planned(aws))

    assert nothing_left(aws)


def test_what_the_budget_does_not_allow_is_not_begun_and_what_was_paid_for_is_written(aws: FakeAws) -> None:
    with pytest.raises(BudgetError, match=r"are spent, and a snapshot may cost \$0.0477: more than the budget of"):
        measure(aws, planned(aws, (1024, 2048, 3008), 2), budget=0.12)

    content = written(aws)
    assert content["complete"] is False
    assert content["targets"][0]["memory"][1]["restore"]["restore_ms"]["n"] >= 2
    assert content["targets"][0]["memory"][2]["restore"]["restore_ms"] is None
    assert content["dollars_spent"] < 0.12
    assert nothing_left(aws)


def test_a_stack_that_cannot_be_deleted_stays_on_record_and_is_deleted_later(aws: FakeAws) -> None:
    aws.deleting_fails = True
    with pytest.raises(MeasureError, match=r"is not wholly destroyed: .*AccessDenied(?s:.*)--clean"):
        measure(aws, planned(aws, (1024,), 1))
    records = Records(aws.folder / "out")
    assert [record.stack for record in records.all()] == [aws.stack]

    aws.deleting_fails = False
    with stopping() as state:
        clean(records, aws.account(), state)

    assert nothing_left(aws)


def test_a_stack_of_another_account_is_told_and_left(aws: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    records = Records(aws.folder / "out")
    records.write(Record("openclip-measure-0123abcd", "999999999999", "eu-west-1", [], []))

    with stopping() as state:
        clean(records, aws.account(), state)

    assert "may be left in account 999999999999" in capsys.readouterr().out
    assert [record.account for record in records.all()] == ["999999999999"]


@pytest.mark.parametrize("stack", ["openclip", "openclip-measure-0123abcd; x", "openclip-measure-"])
def test_a_record_of_anything_but_a_measurement_s_stack_deletes_nothing(aws: FakeAws, stack: str) -> None:
    records = Records(aws.folder / "out")
    records.write(Record("openclip-measure-0123abcd", "123456789012", "eu-west-1", [], []))
    (path,) = (aws.folder / "out" / ".unfinished").glob("*.json")
    path.write_text(path.read_text().replace("openclip-measure-0123abcd", stack))

    with stopping() as state, pytest.raises(MeasureError, match="is damaged"):
        clean(records, aws.account(), state)

    assert aws.calls == []
