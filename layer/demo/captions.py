"""Captions for the drawn images, in English and in Chinese."""

from collections.abc import Sequence

from layer.demo.shapes import Thing

LANGUAGES = ("en", "zh")

# The first of each is the one used for zero-shot classification.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "en": (
        "a photo of {}",
        "{}",
        "a picture of {}",
        "a drawing of {}",
        "an image of {}",
        "this is {}",
        "there is {} in the picture",
        "I can see {}",
    ),
    "zh": (
        "{}的照片",
        "{}",
        "{}的图片",
        "画着{}的图",
        "这是{}",
        "图中有{}",
        "照片里是{}",
        "我看到{}",
    ),
}
_CHINESE_COLORS = {
    "red": "红色",
    "orange": "橙色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "white": "白色",
    "black": "黑色",
}
_CHINESE_SHAPES = {
    "circle": "圆形",
    "square": "正方形",
    "triangle": "三角形",
    "star": "星星",
    "heart": "爱心",
    "cross": "十字",
    "ring": "圆环",
    "moon": "月亮",
}


def caption(things: Sequence[Thing], language: str, template: int = 0) -> str:
    """Describe the things in the order given; `template` counts through TEMPLATES[language]."""
    phrases = [_phrase(thing, language) for thing in things]
    return TEMPLATES[language][template].format((" and " if language == "en" else "和").join(phrases))


def _phrase(thing: Thing, language: str) -> str:
    if language == "zh":
        return f"一个{_CHINESE_COLORS[thing.color]}的{_CHINESE_SHAPES[thing.shape]}"
    article = "an" if thing.color[0] in "aeiou" else "a"
    return f"{article} {thing.color} {thing.shape}"
