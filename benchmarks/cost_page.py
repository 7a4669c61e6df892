"""docs/cost.md: what a million embeddings cost by list prices, ours and others', and the sweep that it comes from."""

from collections.abc import Mapping
from typing import Any

from openclip_lambda.batch.prices import Prices

from benchmarks.cost import CAPTION_TOKENS, HOSTED, NOVA, hosted
from benchmarks.pages import markdown_table
from layer.registry.cost import DOLLARS_PER_MILLION_REQUESTS, dollars_per_million
from layer.registry.memory_setting import DEARER, NEW_ACCOUNT, Choice, choose, least

WORKLOADS = {"640x480": "640x480", "1920x1080": "1080p", "4000x3000": "12 megapixels", "caption": "caption"}
HTTP_API = 1.00  # dollars a million requests: docs/deploy.md
API_KEY = 0.20  # the authorizer's requests; its time comes on top
SOURCE = (
    "https://github.com/BerriAI/litellm/blob/00035b69f416be24e2e323c13198d9b7d2d1bdf9/"
    "model_prices_and_context_window.json"
)
IMAGE_SOURCE = "https://github.com/BerriAI/litellm/pull/21646"
INTRO = """# What it costs

A million embeddings by list prices of us-east-1, in dollars: photographs as JPEG, one a request, and captions of some
{tokens} tokens. These are the times of one machine, warm, with random weights of the true architecture, and not of AWS:
`make measure` measures on your account ([measurements.md](measurements.md)). `python -m benchmarks.memory` writes this
page and `layer/registry/memory_settings.json`. Run of {date}, on {machine}.
Each process had a setting's share of the processors (1,769 MB buy one, as AWS documents) and its memory,
by {limits}.

Ours is Lambda's price of x86_64 at the cheapest setting that holds the peak, which stands in brackets in MB, with
Lambda's ${requests:.2f} a million requests. Cold starts, logs, traces and the deployment's monthly price
([deploy.md](deploy.md#what-it-costs)), and transfer are not included.
"""


def markdown(content: Mapping[str, Any]) -> str:
    """Return the page for a sweep, as memory_settings.json has it."""
    requests = DOLLARS_PER_MILLION_REQUESTS
    parts = [
        INTRO.format(**content, tokens=CAPTION_TOKENS, requests=requests),
        _costs(content["rows"]),
        _reading(content),
    ]
    parts += ["## Memory settings\n", _rule(), _choices(content["rows"])]
    parts += [f"### {row['model']}, {_name(row)}\n\n{_sweep(row)}" for row in content["rows"]]
    return "\n".join(parts)


def _costs(rows: list[dict[str, Any]]) -> str:
    table = [["", *(f"$, {name}" for name in WORKLOADS.values())]]
    for row in rows:
        cells = (_cheapest(row, name) for name in WORKLOADS)
        table.append([f"{row['model']}: {_name(row)}", *(f"{dollars:.2f} ({mb})" for dollars, mb in cells)])
    table.append(["plus HTTP API and API key, for each request of ours", *[f"{HTTP_API + API_KEY:.2f}"] * 4])
    for name, prices in HOSTED.items():
        image, caption = hosted(*prices)
        table.append([name, *[f"{image:.2f}"] * 3, f"{caption:.2f}"])
    return markdown_table(table, numbers=True) + "\n"


def _reading(content: Mapping[str, Any]) -> str:
    nova_image, nova = hosted(*HOSTED[NOVA])
    gateway = HTTP_API + API_KEY
    said = []
    for row in content["rows"]:
        alone = _cheapest(row, "caption")[0]
        if alone > nova:
            said.append(f"- {row['model']}, {_name(row)}: ${alone:.2f} without any gateway, Nova ${nova:.2f}.")
        elif alone + gateway > nova:
            said.append(
                f"- {row['model']}, {_name(row)}: ${alone + gateway:.2f} behind the HTTP API with an API key, Nova "
                f"${nova:.2f}; ${alone:.2f} if the function is invoked directly."
            )
    images = [
        f"{row['model']}, {_name(row)}"
        for row in content["rows"]
        if max(_cheapest(row, name)[0] for name in WORKLOADS if name != "caption") + gateway > nova_image
    ]
    arm = Prices().lambda_gb_second_arm64 / Prices().lambda_gb_second_x86_64
    return "\n".join(
        [
            "**Where Nova is cheaper: one caption in each request.**\n" if said else "Nova is cheaper nowhere.\n",
            *said,
            "\nSeveral captions in one request share the gateway's price."
            + (f" Images are dearer than Nova's with {', '.join(images)}." if images else " No image is dearer.")
            + f" arm64 has {arm:.0%} of the price for a GB-second; its speed was not measured. The models differ: "
            "these are prices, not qualities.\n",
            "Prices of Nova and Titan: AWS's own page fills them in by script and could not be read. The price list of "
            f"[LiteLLM]({SOURCE}) has them, from the Bedrock console ($0.000135 and $0.0008 for 1,000 tokens, $0.00006 "
            f"an image), and so has its [change of 2026-02-20]({IMAGE_SOURCE}) for images. Lambda's are those of "
            "`client/src/openclip_lambda/batch/prices.py`, with the page of each.\n",
        ]
    )


def _rule() -> str:
    return (
        "`python -m layer inspect` prints a bundle's setting, `package.json` carries it, and the deployment takes it "
        "unless `memory` is set, in `[target]` of models.toml or in the context ([deploy.md](deploy.md)). All four "
        "workloads weigh the same. *Cheapest* has the lowest price on average. *Fastest* is the fastest of those that "
        f"cost at most {DEARER} times as much; among settings within 5 % of its time, the smallest. *Default* is the "
        f"fastest up to {NEW_ACCOUNT:,} MB, which is what a new account may have. A setting counts if it holds the "
        "peak, of a batch of 32 images too, and 10 % more. A model that was not measured gets 1,769 MB, or what its "
        "peak needs, estimated from the size of its files.\n"
    )


def _choices(rows: list[dict[str, Any]]) -> str:
    table = [["", "peak MB", "cheapest", "fastest", "default"]]
    for row in rows:
        found = _choice(row)
        cells = [str(mb) for mb in (found.cheapest, found.fastest, found.default)] if found else ["-"] * 3
        table.append([f"{row['model']}: {_name(row)}", f"{row['peak'] / 1e6:.0f}", *cells])
    return markdown_table(table, numbers=True) + "\n"


def _choice(row: Mapping[str, Any]) -> Choice | None:
    try:
        return choose(row["warm"], row["peak"])
    except ValueError:
        return None


def _sweep(row: Mapping[str, Any]) -> str:
    table = [["MB", "cold s", *(cell for name in WORKLOADS.values() for cell in (f"{name} ms", "$"))]]
    for memory, cold in row["cold"].items():
        cells = [memory, f"{cold:.2f}"]
        for name in WORKLOADS:
            seconds = row["warm"][name][memory]
            cells += [f"{seconds * 1000:.1f}", f"{dollars_per_million(seconds, int(memory)):.2f}"]
        table.append(cells)
    return markdown_table(table, numbers=True) + "\n"


def _cheapest(row: Mapping[str, Any], workload: str) -> tuple[float, int]:
    """Return dollars and the setting; where none holds the peak with its headroom, the largest one that ran."""
    seconds = {int(memory): time for memory, time in row["warm"][workload].items()}
    holding = [memory for memory in seconds if memory >= least(row["peak"])] or [max(seconds)]
    return min((dollars_per_million(seconds[memory], memory), memory) for memory in holding)


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['engine']} {row['precision']}"
