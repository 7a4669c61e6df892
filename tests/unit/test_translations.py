"""A translated page has the commands, outputs, tables, figures and links of its original, and is in Chinese.

Change both pages in one commit. What is compared is in `translation.py` and `figures.py`; what a sentence says is not.
"""

import pytest

from tests.unit.figures import Figures
from tests.unit.translation import ROOT, Page, anchors, differences, read

FOLDER = ROOT / "docs" / "zh-CN"
PAGES = ["README.zh-CN.md", *sorted(f"docs/zh-CN/{path.name}" for path in FOLDER.glob("*.md"))]

ENGLISH = """English | [简体中文](zh-CN/page.md)

# A page

It takes two minutes and 164 MB on x86_64: see [deploy](#deploy-it) and `make demo`.

```sh
make demo   # a comment
```

| Engine | Size |
|---|---|
| `onnx` | 1,621 MB |

    indented = code of one line more

## Deploy it

- one
- A million images are $1.29; 20,000 of them take 29 s. [API](api.md#routes)
"""
CHINESE = """[English](../page.md) | 简体中文

# 一个页面

在 x86_64 上需要 2 分钟和 164 MB：参见[部署](#部署)和 `make demo`。

```sh
make demo   # a comment
```

| 引擎 | 大小 |
|---|---|
| `onnx` | 1,621 MB |

    indented = code of one line more

## 部署

- 第一项
- 一百万张图片需要 1.29 美元；2 万张需要 29 秒。[API](../api.md#routes)
"""


@pytest.mark.parametrize("path", PAGES)
def test_a_translation_holds_to_its_original(path: str) -> None:
    translated = read(path)
    found = list(differences(read(translated.english), translated))
    assert not found, "\n".join([f"{path} is not as {translated.english}; change both", *found])


@pytest.mark.parametrize("path", PAGES)
def test_both_pages_begin_with_the_switch_of_languages(path: str) -> None:
    translated = read(path)
    for page in (translated, read(translated.english)):
        assert page.text.partition("\n")[0] == page.switch(), page.path


def sample(text: str) -> list[str]:
    return list(differences(Page("docs/page.md", ENGLISH), Page("docs/zh-CN/page.md", text)))


def test_a_good_translation_passes() -> None:
    assert sample(CHINESE) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\n## 部署", "\n### 部署", "the headings differ, first '## Deploy it' and '### 部署'"),
        ("\n## 部署", "\n部署", "the headings differ, first '## Deploy it' and None"),
        ("# a comment", "# 注释", "# A page / # 一个页面: code block 1 differs: 'make demo   # a comment'"),
        ("```sh", "```", "code block 1 differs: '```sh' is '```'"),
        ("one line", "1 line", "code block 2 differs: '    indented = code of one line more' is"),
        ("和 `make demo`", "和演示", "code that the translation has not: ['make demo']"),
        ("`onnx`", "`torch`", "row '| `onnx` | 1,621 MB |': code that the original has not: ['torch']"),
        ("164 MB", "164 GB", "164 MB is 164 GB"),
        ("164 MB", "146 MB", "figures that the translation has not: ['164']"),
        ("2 分钟", "3 分钟", "figures that the original has not: ['3']"),
        ("2 万", "2 千", "figures that the translation has not: ['20000']"),
        ("29 秒", "29 分钟", "29 s is 29 min"),
        ("1.29 美元", "1.29 %", "1.29 $ is 1.29 %"),
        ("1,621", "1,612", "row '| `onnx` | 1,621 MB |': figures that the translation has not: ['1621']"),
        ("x86_64", "arm64", "names in one of both only: ['arm64', 'x86_64']"),
        ("(#部署)", "(#一个页面)", "links that the translation has not: ['docs/page.md#1']"),
        ("(../api.md#routes)", "(../models.md)", "links that the original has not: ['docs/models.md']"),
        ("| `onnx` | 1,621 MB |\n", "", "3 rows of tables are 2"),
        ("| `onnx` | 1,621", "| `onnx` 1,621", "has other cells"),
        ("- 第一项\n", "", "## Deploy it / ## 部署: 2 items of lists are 1"),
        ("- 第一项", "- this item was left as it is", "## 部署: not translated: '- this item was left as it is'"),
        ("第一项", "项" + "Lambda " * 60, "too few are Chinese"),
    ],
)
def test_what_differs_is_named_with_its_section(old: str, new: str, said: str) -> None:
    assert CHINESE.count(old) == 1
    assert said in "\n".join(sample(CHINESE.replace(old, new)))


def test_a_link_to_a_page_that_is_translated_leads_to_the_translation() -> None:
    original, translated = "See [it](README.md).", "见[它](README.md)。"
    found = list(differences(Page("CONTRIBUTING.md", original), Page("README.zh-CN.md", translated)))
    assert "links that the original has not: ['README.md, not README.zh-CN.md']" in "\n".join(found)


def test_anchors_are_githubs() -> None:
    assert anchors(Page("a.md", "## Other vendors' APIs\n## To change X, open Y\n## `x_y` 的解码器")) == [
        "other-vendors-apis",
        "to-change-x-open-y",
        "x_y-的解码器",
    ]


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("of 5 October 2026, since September 2026", "2026 年 10 月 5 日，自 2026 年 9 月起"),
        ("5 and 27 MB", "5 MB 和 27 MB"),
        ("the 99th percentile, 5 percent, 0.4 %, ends with 5xx", "第 99 百分位，5%，0.4%，以 5xx 结束"),
        ("8-bit weights, 10 to 12 min, 6.3x less, 8 times", "8 位权重，10 到 12 分钟，6.3 倍，8 倍"),
        ("262,144,000 bytes at http, v1.2 and int8", "http 上 262,144,000 字节，v1.2 和 int8"),
    ],
)
def test_figures_are_equal_in_both_languages(english: str, chinese: str) -> None:
    assert list(Figures.of(english).against(Figures.of(chinese))) == []
