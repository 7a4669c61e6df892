"""What a measurement reads and reckons: Lambda's reports, the estimate, the plan, models.toml for another target."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from benchmarks.measure import __main__ as command
from benchmarks.measure import builds, estimate, prices, report
from benchmarks.measure.account import _platform
from benchmarks.measure.errors import BudgetError, MeasureError
from benchmarks.measure.estimate import Spent
from benchmarks.measure.log_lines import read
from benchmarks.measure.plan import Target, plan
from benchmarks.measure.spread import spread
from tests.documents import marked

ROOT = Path(__file__).parents[3]
# Of AWS's documentation: "Lambda SnapStart", monitoring; and "Configuring JSON and plain text log formats".
PLAIN = (
    "START RequestId: 8c360c87-d4b7-4423-b5f3-af02be3c1763 Version: 72\n"
    "REPORT RequestId: 8c360c87-d4b7-4423-b5f3-af02be3c1763\tDuration: 2338.66 ms\tBilled Duration: 2521 ms\t"
    "Memory Size: 3009 MB\tMax Memory Used: 173 MB\tRestore Duration: 398.97 ms\tBilled Restore Duration: 182 ms\t\n"
)
INIT = (
    "REPORT RequestId: 8f507cfc\tDuration: 79.67 ms\tBilled Duration: 246 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 73 MB\tInit Duration: 166.62 ms\n"
)
OF_JSON = (
    '{"time":"2024-03-13T18:56:24.046Z","type":"platform.start","record":{"requestId":"8f507cfc","version":"$LATEST"}}\n'
    '{"time":"2024-03-13T18:56:25.000Z","type":"platform.report","record":{"requestId":"8f507cfc","metrics":'
    '{"durationMs":79.67,"billedDurationMs":246,"memorySizeMB":128,"maxMemoryUsedMB":73,"initDurationMs":166.62}}}\n'
)


def test_a_restore_is_read_from_the_report_line() -> None:
    assert read(PLAIN).metrics == {
        "durationMs": 2338.66,
        "billedDurationMs": 2521,
        "maxMemoryUsedMB": 173,
        "restoreDurationMs": 398.97,
        "billedRestoreDurationMs": 182,
    }


def test_both_forms_of_a_report_give_the_same() -> None:
    assert read(INIT).metrics == read(OF_JSON).metrics
    assert read(OF_JSON).metrics["initDurationMs"] == 166.62


@pytest.mark.parametrize("tail", ["", "no report", '{"type": 3}', "[]", '{"type":"platform.report"}', OF_JSON[60:90]])
def test_a_log_without_a_report_gives_no_figures(tail: str) -> None:
    assert read(tail).metrics == {}


def test_a_line_of_the_function_that_looks_like_a_report_is_none() -> None:
    line = json.dumps({"_aws": {}, "cold": True, "LoadTime": 12.5, "message": "REPORT Duration: 1 ms"})
    said = read(f'{line}\n{{"type":"platform.report","record":{{"metrics":{{"durationMs":"7"}}}}}}')
    assert (said.metrics, said.cold, said.load_ms) == ({}, True, 12.5)


def test_percentiles_are_those_of_numpy() -> None:
    import numpy as np

    values = [float(value) for value in np.random.default_rng(0).exponential(100, 31)]
    found = spread([*values, None])
    assert found is not None
    assert found == pytest.approx((31, *np.percentile(values, [20, 50, 95])))
    assert spread([None]) is None


def test_the_estimate_is_lambda_s_list_price() -> None:
    wanted = plan([1024], 30, 50, [1, 2], 5, 1000)
    found = {line.name: line.dollars for line in estimate.lines(wanted, [Target("image", "x86_64")], [1, 1, 8])}

    assert found["inits"] == pytest.approx(30 * 10 * 1.0 * 0.0000166667)
    assert found["snapshots"] == pytest.approx(2 * 3 * 3600 * 0.0000015046)  # the deployment's, and one of its own
    assert found["restores"] == pytest.approx(30 * 0.0001397998 + 30 * 3 * 0.0000166667)
    assert found["warm requests"] == pytest.approx(50 * 10 * 0.0000166667)
    assert found["concurrency"] == pytest.approx(3 * 5 * 0.0000166667)


def test_a_second_target_costs_as_much_again_and_arm64_a_fifth_less_for_its_time() -> None:
    wanted = plan([1769], 30, 50, [1], 5, 1000)
    one, two, other = (
        {line.name: line.dollars for line in estimate.lines(wanted, targets, [1])}
        for targets in (
            [Target("image", "x86_64")],
            [Target("image", "x86_64"), Target("layer", "x86_64")],
            [Target("image", "arm64")],
        )
    )
    assert two == pytest.approx({name: 2 * dollars for name, dollars in one.items()})
    assert other["inits"] == pytest.approx(0.8 * one["inits"], rel=1e-4)


def test_the_prices_are_those_of_the_deployment_s_page() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    for price in (f"${prices.SNAPSHOT_GB_SECOND:.10f}", f"m * ${prices.SNAPSHOT_GB_RESTORED:.5f}"):
        assert price in page, price
    assert f"key of logs and secret ${prices.KEY_MONTH:.2f}" in page
    alarms, metrics, dollars = 10, 11, re.search(r"ten alarms on eleven metrics \$([\d.]+)", page)
    assert dollars
    assert float(dollars[1]) == pytest.approx(metrics * prices.ALARM_MONTH)
    assert alarms <= estimate.ALARMS


def test_the_defaults_of_one_package_are_under_a_dollar_even_on_a_new_account() -> None:
    options = command._parser().parse_args([])
    for free in (10, 1000):
        wanted = plan(options.memory, options.starts, options.requests, options.concurrency, options.seconds, free)
        assert estimate.total(estimate.lines(wanted, [Target("image", "x86_64")], [1, 1, 8])) < 1


def test_spending_stops_before_the_step_that_would_pass_the_budget() -> None:
    spent = Spent(1.0)
    spent.add(0.9)
    spent.allow(0.1, "a step")
    with pytest.raises(BudgetError, match=r"a step may cost \$0.1001"):
        spent.allow(0.1001, "a step")


@pytest.mark.parametrize(("memory", "said"), [([128], "--memory 128"), ([20_000], "--memory 20000")])
def test_a_memory_that_lambda_or_the_stack_does_not_have_is_refused(memory: list[int], said: str) -> None:
    with pytest.raises(MeasureError, match=said):
        plan(memory, 1, 1, [1], 1, 1000)


def test_levels_over_half_of_the_free_concurrency_are_left_out() -> None:
    assert plan([1024], 1, 1, [1, 2, 4, 8, 16], 1, 10).reached_levels == (1, 2, 4)


@pytest.mark.parametrize(
    ("address", "platform"),
    [
        ("https://lambda.eu-west-1.amazonaws.com", "aws"),
        ("https://lambda.cn-north-1.amazonaws.com.cn", "aws"),
        ("https://vpce-1-lambda.eu-west-1.vpce.amazonaws.com", "aws"),
        ("http://127.0.0.1:4566", "emulator"),
        ("http://localhost.localstack.cloud:4566", "emulator"),
        ("https://amazonaws.com.example.org", "emulator"),
        ("https://notamazonaws.com", "emulator"),
    ],
)
def test_figures_are_aws_s_only_where_every_address_is(address: str, platform: str) -> None:
    class Stub:
        def client(self, service: str) -> "Stub":
            return self

        @property
        def meta(self) -> "Stub":
            return self

        endpoint_url = address

    assert _platform(Stub()) == platform  # type: ignore[arg-type]


TOMLS = {
    "as it is shipped": (ROOT / "layer" / "models.toml").read_text(encoding="utf-8"),
    "without a target": '[[model]]\nname = "ViT-B-32"\npretrained = "openai"\n',
    "in another order": 'cache = "x"\n[target]\npackage="image" # or layer\npython = "3.12"\n[[model]]\nname="a"',
    "target at the end": '[[model]]\nname = "a"\n\n[target]\narchitecture = "x86_64"',
}


@pytest.mark.parametrize("text", TOMLS.values(), ids=TOMLS)
def test_models_toml_is_rewritten_for_another_target_and_nothing_else(tmp_path: Path, text: str) -> None:
    spec = tmp_path / "models.toml"
    spec.write_text(text)
    spec.with_suffix(".lock").write_text("locked")

    changed = builds._retargeted(spec, Target("layer", "arm64"), "3.13")

    before, after = tomllib.loads(text), tomllib.loads(changed.read_text())
    target = {**before.get("target", {}), "package": "layer", "architecture": "arm64", "python": "3.13"}
    assert after == {**before, "target": target}
    assert changed.parent == spec.parent
    assert changed.with_suffix(".lock").read_text() == "locked"


def test_an_inline_target_is_not_rewritten(tmp_path: Path) -> None:
    spec = tmp_path / "models.toml"
    spec.write_text('target = {package = "image"}\n[[model]]\nname = "a"\n')
    with pytest.raises(MeasureError, match="build layer, x86_64 yourself"):
        builds._retargeted(spec, Target("layer", "x86_64"), "3.13")


@pytest.mark.parametrize(
    "given",
    [
        ["--budget", "0"],
        ["--budget", "nan"],
        ["--shapes", "zip"],
        ["--shapes", ","],
        ["--starts", "0"],
        ["--architectures", "x86_64;arm64"],
    ],
)
def test_a_wrong_word_is_told_before_anything(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command._parser().parse_args(given)
    assert stopped.value.code == 2
    assert given[0] in capsys.readouterr().err


def test_no_second_run_of_a_day_overwrites_the_first(tmp_path: Path) -> None:
    from benchmarks.measure.results import unused

    assert unused(tmp_path, "2026-11-27") == "2026-11-27"
    (tmp_path / "2026-11-27.json").touch()
    assert unused(tmp_path, "2026-11-27") == "2026-11-27-2"


def test_the_form_for_results_and_the_page_name_each_other() -> None:
    page = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "measurements.yml").read_text(encoding="utf-8")
    assert "**No figure on this page was measured on AWS.**" in page
    assert "../.github/ISSUE_TEMPLATE/measurements.yml" in page
    assert "docs/measurements.md" in form
    for arguments in re.findall(r'ARGS="(.*?)"', page):
        command._parser().parse_args(arguments.split())
    for option in re.findall(r"`(--[a-z]+)`", page):
        assert option in command._parser().format_help(), option


def test_the_commands_of_the_page_are_taken() -> None:
    [block] = marked(__file__, "docs/measurements.md")
    lines = [
        shlex.split(line, comments=True) for line in block.text.splitlines() if "measure" in line.partition("#")[0]
    ]
    assert len(lines) == 3
    for make, target, *given in lines:
        assert (make, target) == ("make", "measure")
        command._parser().parse_args(shlex.split("".join(given).removeprefix("ARGS=")))


def test_an_emulator_s_figures_are_labelled_as_that() -> None:
    label = report.label({"platform": "emulator", "date": "2026-11-27", "region": "eu-west-1"})
    assert label.startswith("EMULATOR, not AWS")
