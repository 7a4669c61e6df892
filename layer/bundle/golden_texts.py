"""The texts whose token ids and embeddings open_clip computes for the manifest."""

TEXTS = (
    "a photo of a red circle",
    "一张红色圆形的照片",
    "Ein naïves Café &amp; a “blue star” 🎈, THE END_of it.",
    "long " * 100,
)


# Token ids alone are compared on these: what cleaning, lower case, cutting and special tokens do to a text.
TOKENIZED = (
    "",
    "  leading\tand\ntrailing\u00a0space,   and  more \r\n",
    'snake_case, hyphen-ated: "punctuated", isn\'t it?! (yes) #1 @home 100% {} [x]',
    "MiXeD CaSe, DON'T İSTANBUL STRASSE ẞ Σς ǅ",
    "&lt;b&gt; &amp;amp; &amp;lt; &eacute; &#x1F600; &nbsp;| &unknown;",
    "schÃ¶n, â€™tis ﬁne ‘so’ “said” naïve e\u0301",
    "<start_of_text> a <END_OF_TEXT> b </s><s> [SEP][PAD] <unk> <|endoftext|>",
    "👩‍👩‍👧 🏳️‍🌈 \u200b\ufeff 夜の東京 صورة 한국어 ½ ² Ⅷ",
    "x" * 300,
)
