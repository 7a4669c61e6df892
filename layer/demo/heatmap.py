"""Draws the similarity heatmap: images along the top, captions along the side, the cosine in each cell."""

import logging
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # it warns of every weight that a font lacks

# Fonts that hold Chinese, by system: Linux, Windows, macOS. DejaVu Sans comes with matplotlib.
FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "PingFang SC",
    "Arial Unicode MS",
)


def save_heatmap(path: Path, images: list[Image.Image], captions: list[str], scores: NDArray[np.float32]) -> int:
    """Write a PNG; `scores` is [images, captions]. Returns how many captions no installed font can show."""
    fonts = [name for name in FONTS if name in font_manager.get_font_names()]
    shown = [column for column, text in enumerate(captions) if fonts or text.isascii()]
    cells = scores[:, shown].T
    with plt.rc_context({"font.family": [*fonts, "DejaVu Sans"], "font.size": 10}):
        figure, axes = plt.subplots(figsize=(4.2 + 0.95 * len(images), 1.9 + 0.42 * len(shown)), layout="constrained")
        axes.imshow(cells, cmap="viridis", aspect="auto")
        bright = (cells.min() + 2 * cells.max()) / 3  # of the colors: where black is easier to read than white
        axes.set_yticks(range(len(shown)), [captions[column] for column in shown])
        axes.set_xticks([])
        axes.spines[:].set_visible(False)
        for (row, column), score in np.ndenumerate(cells):
            ink = "black" if score > bright else "white"
            axes.text(column, row, f"{score:.2f}", ha="center", va="center", color=ink)
        for row, column in enumerate(cells.argmax(axis=1)):
            axes.add_patch(Rectangle((column - 0.47, row - 0.44), 0.94, 0.88, fill=False, edgecolor="black"))
        _place_images(axes, images)
        axes.set_xlabel("cosine of image and caption; the best image of each caption is framed")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
        plt.close(figure)
    return len(captions) - len(shown)


def _place_images(axes: plt.Axes, images: list[Image.Image]) -> None:
    """Put each image over its column."""
    for column, image in enumerate(images):
        width = 0.9 / len(images)
        left = (column + 0.5) / len(images) - width / 2
        frame = axes.inset_axes((left, 1.02, width, 0.24))
        frame.imshow(image)
        frame.axis("off")
