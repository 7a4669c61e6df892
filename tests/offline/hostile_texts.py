"""Texts that cost far more than their length says, somewhere between a JSON string and token ids; and honest ones."""

import random
import unicodedata

_choose = random.Random(1)  # noqa: S311


def filled(unit: str, length: int) -> str:
    """Repeat a text up to a length."""
    return (unit * (length // len(unit) + 1))[:length]


def garbled(text: str, encoding: str = "cp1252") -> str:
    """Return what somebody sees who takes UTF-8 for another encoding."""
    return text.encode().decode(encoding, "replace")


HONEST = {
    "english": "A photo of a small red circle beside a blue square on a wooden table. ",
    "typographic english": "It’s a photo of “Tom’s” cat — on a wooden table… ",
    "french": "Une photo d'un été très ensoleillé à la plage, où les enfants jouaient près de l'océan. ",
    "russian": "Фотография маленькой собаки на деревянном столе. ",
    "chinese": "一只红色的猫坐在木桌子上,旁边有一个蓝色的正方形。",
    "chinese list": "红色，猫\n",
    "japanese": "赤い丸の写真。木のテーブルの上に青い四角があります。",
    "korean": "나무 탁자 위에 있는 작은 빨간 원의 사진. ",
    "arabic": "صورة لدائرة حمراء صغيرة بجانب مربع أزرق على طاولة خشبية. ",
    "hindi": "लकड़ी की मेज पर एक छोटे लाल वृत्त की तस्वीर। ",
    "thai": "ภาพถ่ายของวงกลมสีแดงขนาดเล็กบนโต๊ะไม้ ",
    "hebrew with points": "שָׁלוֹם עֲלֵיכֶם תְּמוּנָה ",
    "decomposed vietnamese": unicodedata.normalize("NFD", "Một bức ảnh của con mèo. "),
    "emoji": "Party time 🎉🐕👩‍👩‍👧 with a 🔴 and a 🟦! ",
    "entities": "Tom &amp; Jerry &lt;3 caf&eacute; ",
    "entities, escaped twice": "Tom &amp;amp; Jerry &amp;lt;b&amp;gt; caf&amp;eacute; ",
    "mojibake": garbled("Une photo d'un été très ensoleillé à la plage. "),
    "mojibake, russian": garbled("Фотография маленькой собаки", "latin-1"),
    "lines": "le lait\r\nles œufs\r\n",
    "terminal colors": "\x1b[31mred\x1b[0m and \x1b[1mbold\x1b[0m ",
}
# Repeated up to the length of the request.
UNITS = [
    *("&", "&a", "&#", "&#0;", "&#1", "&not", "&notinx", "&amp;\n", "&acE;", "&" + "a" * 32),
    *("&nbsp", "<b>&amp;amp;", "&CounterClockwiseContourIntegral;"),
    *("&CounterClockwiseContourIntegralx", "&\x00amp;", "&" + "amp;" * 20 + " "),
    *("&" + "amp;" * 100 + " ", "é&amp;\n", "&#x301;&#x316;", "&#769&#790", "＆ａｍｐ；"),
    *("é\n", "\n", "é\r\n", "é\r", "\u2028\xe9", "Ã©\n", "\x85\xe9", "\x81\x8d"),
    *("\xe9\x81\xff\x8d", "\x8d\n", "\xc3\u0153\x81", "Ã", "Ã ", "Â", "â€", "â€™"),
    *("â€�", "ðŸ", "ðŸ˜€", "ÃƒÂ", "Ã¯Â¿Â½ ", "Ã© 日 ", "Ã©â€™ "),
    *("�", "ÀÁÂÃÄÅ", "Î±Î²", "Ð°Ð±Ð²", "\xe4\xb8\xad\xe6\u2013\u2021", "×©×œ"),
    *("¬¨‚Ä†\n", "é\nÂ°", "€é\n", "œé\n", "\uff2c\uff2f\uff35\uff24\u3000", "ｶﾞ"),
    *("\uff9e\u0301", "ﬁﬂﬃ", "ŉ", "“”‘’", "\u200d", "\u200b", "\u202e\u202d"),
    *("\ufeff", "\x00\x01", "\x7f", "\x1b[0m", "\x1b[", "\x1b[" + ";" * 4_000, "\u0301"),
    *("\u0301\u0316", "\u0f74\u0f73", "\u0f71\u0f72\u0f71\u0f74", "\u0344\u0301"),
    *("a" + "\u0301\u0316" * 100, "a" + "\u0301\u0327\u0316\u0345" * 30, "\u0301\x00\u0316\x00"),
    *("\xcc\x81\xcc\x96", "ᄀ", "각", "क़", "𝅗𝅥", "ᾂΐ", "Å", "ﷺ", "㍿", "ß"),
    *("İ", "Σ", "Σ.", "\u0345\u03a3", "ệ", "\ue000", "\U000e1000", "🇦", "x", "the", "é"),
    *("中", "!", "1234567890", "'s", "'", "😀", "👍🏽", "🇩🇪", "\U000e0061", "a\ufe0f"),
    *(" ", "\xa0", "\u3000", "a ", "<start_of_text>", "<end_of_text> ", "</s>", "<s>", "[SEP]"),
    *("<unk>", "<pad>", "▁", "<", "_", "\\", "\""),
]  # fmt: skip


def hostile(length: int) -> list[str]:
    """Return texts of a length: units again and again, chains, and characters drawn at random."""
    draws = [
        [chr(code) for code in (*range(32, 0xD800), *range(0xE000, 0xFFFF))],
        [chr(code) for code in range(0x80, 0x180)],
        [chr(code) for code in range(0x10000, 0x11000)],
        list("\u0301\u0316\u0327\u05b0\u0591\u3099\u0345\u0f71\u0f72\u0f74\u064b\u064c\u0651"),
        list("abcdefghijklmnopqrstuvwxyz"),
        list("!?#$%^*()-+="),
    ]
    depth, marks = length // 4, "\u0301\u0316\u0327\u3099\u0345"
    return [
        *(filled(unit, length) for unit in UNITS),
        *(head + "&" + filled(link, length - 1 - len(head)) for head in ("", "é") for link in ("amp;", "#38;", "AMP;")),
        *("&" + filled(link, length - 1) for link in ("#x26;", "amp;#38;#x26;", "#0000000038;")),
        *("&#" + "1" * (length - 2), "&#x" + "f" * (length - 3), "&#" + "1" * min(4_000, length - 3) + ";"),
        *("\x1b[" * depth + "0m" * depth, "日" + filled("Ã©", length - 1), filled("Ã©", length - 1) + "日"),
        *("Ã\x83Â" * (length // 6) + "é" * (length // 2), "AΣ" + "\u00ad" * (length - 2)),
        "a" + "".join(sorted(filled(marks, length - 1), key=unicodedata.combining, reverse=True)),
        *("".join(_choose.choice(draw) for _ in range(length)) for draw in draws),
    ]
