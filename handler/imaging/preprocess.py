"""open_clip's image transform in Pillow and numpy, bit for bit, in bounded memory: resize, crop or pad, normalize."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from handler.errors import ImageError
from handler.imaging.reduced import Box, Decoded, Size

# Pillow converts these to premultiplied alpha and back in each resize; done here, one conversion serves two passes.
PREMULTIPLIED = {"LA": "La", "RGBA": "RGBa"}
RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
PIXELS_AT_ONCE = 8_000_000  # of an intermediate image: 32 MB at 4 bytes
ONE_STEP = (
    "RGB",
    "L",
)  # modes in which a part of an image is resized as the whole is: by weights, with no transparency


class Preprocess:
    """`open_clip.transform.image_transform_v2(cfg, is_train=False)` for one model's configuration."""

    def __init__(self, config: Mapping[str, Any], image_size: tuple[int, int], one_step: bool = False) -> None:
        """Take the manifest's `preprocess` object, and the image's (height, width) as the model wants it.

        With `one_step`, `of` computes only the pixels that the crop keeps. Some are one or two levels of 255 off:
        Pillow places them with 24 bits, and for some sizes resizes rows first, and of the whole image columns first.
        """
        self._one_step = one_step
        self._target: Size = (image_size[1], image_size[0])
        self._resize_mode: str = config["resize_mode"]
        self._fill: int = config["fill_color"]
        self._resample = RESAMPLING[config["interpolation"]]
        if self._resize_mode == "shortest" and image_size[0] != image_size[1]:
            self._resample = RESAMPLING["bicubic"]  # open_clip does not pass its interpolation on in this one case
        mean, std = (np.asarray(config[key], np.float32)[:, None] for key in ("mean", "std"))
        self._levels = (np.arange(256, dtype=np.float32) / np.float32(255) - mean) / std  # [3, 256]: of each sample

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Return float32 [3, H, W], normalized. An image of any mode is resized first, then converted to RGB.

        That is open_clip's order. Raises ImageError for an image that open_clip's transform refuses, too.
        """
        return self._pixels(image, self._fit, self.empty(1)[0])

    def empty(self, count: int) -> NDArray[np.float32]:
        """Return an uninitialized array for the pixels of `count` images: float32 [count, 3, H, W]."""
        return np.empty((count, 3, *self._target[::-1]), np.float32)

    def of(self, decoded: Decoded, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the same for an image that may have been decoded at a reduced scale; then it is not bit-identical.

        Nor is it with `one_step`. It is written into `out`, float32 [3, H, W], if that is given.
        """
        out = self.empty(1)[0] if out is None else out
        if decoded.reduced or self._is_cropped(decoded.image):
            return self._pixels(decoded.image, lambda image: self._fit_in_one_step(image, decoded), out)
        return self._pixels(decoded.image, self._fit, out)

    def _is_cropped(self, image: Image.Image) -> bool:
        """Whether one step saves work: the image is resized, and some of what that would compute is cut off."""
        if not self._one_step or self._resize_mode != "shortest" or image.mode not in ONE_STEP:
            return False
        return self.fitted(*image.size) not in (self._target, image.size)

    def _pixels(
        self, image: Image.Image, fit: Callable[[Image.Image], Image.Image], out: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        try:
            rgb = np.asarray(fit(image).convert("RGB"), np.uint8)
        except (ValueError, OSError) as error:  # what Pillow says to a mode that it cannot resize or convert
            raise ImageError("unsupported_image_format", f"an image of mode {image.mode} is not supported") from error
        for band, levels in enumerate(self._levels):  # one pass over each, and no copy
            np.take(levels, rgb[:, :, band], out=out[band], mode="clip")
        return out

    def _fit_in_one_step(self, image: Image.Image, decoded: Decoded) -> Image.Image:
        """Crop and resize in one step, so that only the kept pixels are computed."""
        size = self.fitted(*decoded.size)
        left, top, right, bottom = decoded.box
        if self._resize_mode == "longest":
            return _pad(image.resize(size, self._resample, decoded.box), self._target, self._fill)
        kept_left, kept_top, kept_right, kept_bottom = self._kept(size)
        across, down = (right - left) / size[0], (bottom - top) / size[1]
        box = (left + kept_left * across, top + kept_top * down, left + kept_right * across, top + kept_bottom * down)
        return image.resize(self._target, self._resample, _inside(box, decoded.box))

    def _fit(self, image: Image.Image) -> Image.Image:
        size = self.fitted(*image.size)
        if 0 in size:
            raise ImageError(
                "image_too_narrow",
                f"{image.width}x{image.height} pixels leave no pixel after the resize: crop the image",
            )
        if self._resize_mode == "longest":
            return _pad(_resize(image, size, (0, 0, *size), self._resample), self._target, self._fill)
        return _resize(image, size, self._kept(size), self._resample)

    def _kept(self, size: Size) -> tuple[int, int, int, int]:
        """Return the box that the crop keeps of a resized image."""
        left = round((size[0] - self._target[0]) / 2)
        top = round((size[1] - self._target[1]) / 2)
        return left, top, left + self._target[0], top + self._target[1]

    def fitted(self, width: int, height: int) -> Size:
        """Compute the whole image's size after the resize, with the rounding of torchvision and of open_clip."""
        target_width, target_height = self._target
        if self._resize_mode == "squash":
            return self._target
        if self._resize_mode == "shortest" and target_width == target_height:
            if width <= height:
                return target_width, int(target_width * height / width)
            return int(target_width * width / height), target_width
        pick = max if self._resize_mode == "longest" else min
        ratio = pick(height / target_height, width / target_width)
        return round(width / ratio), round(height / ratio)


def _inside(box: Box, whole: Box) -> Box:
    """Return a box clipped to another one: Pillow refuses a box that rounding has put outside."""
    return max(box[0], whole[0]), max(box[1], whole[1]), min(box[2], whole[2]), min(box[3], whole[3])


def _resize(image: Image.Image, size: Size, box: tuple[int, int, int, int], how: Image.Resampling) -> Image.Image:
    """Do `image.resize(size, how).crop(box)` without a resized image that is much larger than the source."""
    if image.size == size:
        return image.crop(box)
    grows = size[0] > image.width and size[1] > image.height
    if grows and size[0] * size[1] > PIXELS_AT_ONCE:
        return _resize_in_passes(image, size, box, how)
    return image.resize(size, how).crop(box)


def _resize_in_passes(
    image: Image.Image, size: Size, box: tuple[int, int, int, int], how: Image.Resampling
) -> Image.Image:
    """Compute only the pixels that the crop keeps: 4000x3 would first be enlarged to 298,666x224.

    Bit-equal, because Pillow enlarges columns first too, and no pixel depends on its neighbors of the same pass.
    """
    from handler.imaging import enlarge  # late: few images are that narrow

    left, top, right, bottom = box
    work = image.convert(PREMULTIPLIED.get(image.mode, image.mode))
    if work.mode in enlarge.BY_INDEX:
        return enlarge.nearest(work, size, box)
    if work.mode not in enlarge.MODES:
        return image.resize(size, how).crop(box)
    work = enlarge.columns(work, size[0], left, right, how)
    return enlarge.rows(work, size[1], top, bottom, how).convert(image.mode)


def _pad(image: Image.Image, target: Size, fill: int) -> Image.Image:
    """Center on a canvas of the target's size, as torchvision's `pad` does it for a PIL image."""
    spare_width, spare_height = target[0] - image.width, target[1] - image.height
    if spare_width == 0 and spare_height == 0:
        return image
    border = (spare_width // 2, spare_height // 2, (spare_width + 1) // 2, (spare_height + 1) // 2)
    bands = len(image.getbands())
    padded = ImageOps.expand(image, border, fill if bands == 1 else (fill,) * bands)
    if image.mode == "P":
        palette = image.getpalette()
        if palette is None:
            raise ImageError("unsupported_image_format", "a palette image without a palette is not supported")
        padded.putpalette(palette)
    return padded
