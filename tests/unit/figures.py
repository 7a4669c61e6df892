"""The figures of a paragraph, in English or Chinese: values, units, and names that have digits."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
# A word of the original may be a figure of the translation, and not the other way round.
WORDS = {
    **{"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10},
    **{"twice": 2, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50},
    **{"sixty": 60, "hundred": 100, "thousand": 1000, "million": 1_000_000, "billion": 1_000_000_000},
}
UNITS = {
    **dict.fromkeys(("s", "second", "seconds", "秒"), "s"),
    **dict.fromkeys(("ms", "millisecond", "milliseconds", "毫秒"), "ms"),
    **dict.fromkeys(("min", "minute", "minutes", "分钟"), "min"),
    **dict.fromkeys(("h", "hour", "hours", "小时"), "h"),
    **dict.fromkeys(("day", "days", "天"), "day"),
    **dict.fromkeys(("x", "times", "倍"), "x"),
    **dict.fromkeys(("%", "percent"), "%"),
    **dict.fromkeys(("dollars", "美元"), "$"),
    **dict.fromkeys(("bytes", "字节"), "bytes"),
    **{unit: unit for unit in ("KB", "MB", "GB", "TB")},
}
MYRIADS = {"万": 10_000, "亿": 100_000_000}
TOKEN = re.compile(r"\$?[A-Za-z0-9](?:[A-Za-z0-9_.,-]*[A-Za-z0-9])?")
NUMBER = re.compile(r"(\$?)(\d+(?:,\d{3})*(?:\.\d+)*)(?:-?(ms|s|x|h|KB|MB|GB|TB)|st|nd|rd|th|-[a-z]+)?")
_UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
FOLLOWS = re.compile(rf"\s*({'|'.join(MYRIADS)})?\s*({_UNIT})?(?![a-z])")
DATE = re.compile(rf"(?:(\d{{1,2}}) )?({'|'.join(MONTHS)}) (\d{{4}})")


class Figures(NamedTuple):
    """`units` are those that stand behind a value; `words` are the values of number words."""

    values: Counter[str]
    units: dict[str, set[str]]
    names: set[str]
    words: Counter[str]

    @classmethod
    def of(cls, text: str) -> "Figures":
        """Read a text without code and links."""
        text = DATE.sub(lambda date: f"{date[1] or ''} {MONTHS.index(date[2]) + 1} {date[3]}", text)
        found = cls(Counter(), {}, set(), Counter(_words(text)))
        for token in TOKEN.finditer(text):
            parts = token[0].split("-") if re.fullmatch(r"\d+(-\d+)+", token[0]) else [token[0]]
            for part in parts:
                if number := NUMBER.fullmatch(part):
                    found._add(number, text[token.end() :])
                elif re.search(r"\d", part):
                    found.names.add(part)
        return found

    def _add(self, number: re.Match[str], rest: str) -> None:
        value = number[2].replace(",", "")
        follows = FOLLOWS.match(rest) if number[0].endswith(number[2]) else None
        if follows and follows[1]:
            value = f"{float(value) * MYRIADS[follows[1]]:.0f}"
        self.values[value] += 1
        if unit := number[1] or number[3] or (follows[2] if follows else ""):
            self.units.setdefault(value, set()).add(UNITS.get(unit, unit))

    def against(self, translated: "Figures") -> Iterator[str]:
        """Say what the figures of a translation are not as these are."""
        missing = self.values - translated.values
        added = translated.values - self.values - self.words
        if missing:
            yield f"figures that the translation has not: {sorted(missing.elements())}"
        if added:
            yield f"figures that the original has not: {sorted(added.elements())}"
        for value in sorted(self.units.keys() & translated.units.keys()):
            ours, theirs = self.units[value], translated.units[value]
            if ours - theirs and theirs - ours:
                yield f"{value} {'/'.join(sorted(ours))} is {value} {'/'.join(sorted(theirs))}"
        if self.names != translated.names:
            yield f"names in one of both only: {sorted(self.names ^ translated.names)}"


def _words(text: str) -> Iterator[str]:
    return (str(WORDS[word]) for word in re.findall("[a-z]+", text.lower()) if word in WORDS)
