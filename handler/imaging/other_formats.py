"""Recognize formats that are not decoded here, so that the response can say what to do with such a file."""

import re
from collections.abc import Sequence

from handler.errors import ImageError

SIGNATURES = {
    b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
    b"IIRO": "camera raw", b"FUJIFILMCCD-RAW": "camera raw",
    # A TGA's header: its kind, then a color map that begins at 0. A cursor's has the number of its images there.
    **dict.fromkeys((b"\0\0\2" + bytes(5), b"\0\0\3" + bytes(5), b"\0\0\n" + bytes(5), b"\0\0\v" + bytes(5)), "TGA"),
    **dict.fromkeys((b"\0\1\1\0\0", b"\0\1\t\0\0"), "TGA"),
    b"\0\0\1\0": "ICO", b"\0\0\2\0": "CUR", b"icns": "ICNS", b"8BPS": "PSD", b"gimp xcf": "XCF", b"qoif": "QOI",
    b"DDS ": "DDS", b"%PDF": "PDF", b"%!PS": "EPS", b"\xc5\xd0\xd3\xc6": "EPS", b"AT&TFORM": "DjVu",
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000", b"II\xbc": "JPEG XR",
    b"\0\0\0\x0cJXL ": "JPEG XL", b"\xff\x0a": "JPEG XL", b"FLIF": "FLIF", b"BPG\xfb": "BPG",
    b"\x76\x2f\x31\x01": "OpenEXR", b"#?RADIANCE": "Radiance HDR", b"\xd7\xcd\xc6\x9a": "WMF",
    b"\x8aMNG\r\n\x1a\n": "MNG", b"\x8bJNG\r\n\x1a\n": "JNG", b"\x1aE\xdf\xa3": "Matroska or WebM video",
}  # fmt: skip
PNM = re.compile(rb"P[1-7F][ \t\r\n#]")
# Brands of ISO base media files: MIAF (ISO 23000-22), HEIF (ISO 23008-12) and AVIF. The first that a file names counts.
BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF", b"avio": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"mif1", b"mif2", b"msf1", b"miaf"), "HEIF"),
    b"crx ": "camera raw", b"qt  ": "QuickTime video",
}  # fmt: skip
GENERAL = (b"mif1", b"mif2", b"msf1", b"miaf")  # say less than the compatible brands behind them
MARKUP = re.compile(rb"\s*(?:<\?xml|<!--|<!doctype\s|<svg|<html|<head|<[a-z]+:svg)", re.IGNORECASE)
LOOKED_AT = 4_096  # bytes of markup
NO_UTF8 = "\ufffd".encode()  # what decoders of UTF-8 put in the place of bytes that are none
IN_BASE64 = (b"data:", b"iVBORw0KGgo", b"/9j/", b"UklGR", b"R0lGOD")  # a data URI; PNG, JPEG, WebP and GIF
WITH_ZEROS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8")  # how files begin that have zeros soon after


def refusal(data: bytes, known: Sequence[str], hint: str = "") -> ImageError:
    """Return the error for bytes of none of the `known` formats; `hint` is one more fix."""
    formats = ", ".join(known)
    if name := _markup(data):
        if name == "HTML":
            return ImageError("not_an_image", f"the bytes are a web page, not an image: send one of {formats}")
        return ImageError("unsupported_image_format", f"{name} is not supported: convert it to one of {formats}")
    if other := _other(data):
        fix = f"convert it to one of {formats}{hint}"
        return ImageError("unsupported_image_format", f"{other} is not supported: {fix}")
    found = ""
    if (start := data[:1024].find(b"\xff\xd8\xff")) > 0:
        found = f". A JPEG begins at byte {start:,}: leave out what stands before it"
    return ImageError("not_an_image", f"the {len(data):,} bytes do not start like any of {formats}{found}")


def changed(data: bytes) -> str:
    """Say what damaged an image on its way here, such as base64 or a conversion to text; empty if that is unknown."""
    start = data[:32]
    if NO_UTF8 in start:
        return ". Its bytes were read as text on the way: send them as they are, or as base64"
    if start.startswith(IN_BASE64):
        return ". It is an image in base64: in JSON encode a file once, and in a body of image/* not at all"
    line_ends = start.startswith(b"\x89PNG") and not start.startswith(b"\x89PNG\r\n\x1a\n")
    if line_ends or (start.startswith(WITH_ZEROS) and b"\0" not in start):
        return ". Line ends or zeros were lost on the way, as by curl's -d: a file takes --data-binary"
    return ""


def _other(data: bytes) -> str | None:
    for signature, name in SIGNATURES.items():
        if data.startswith(signature):
            return name
    if PNM.match(data):
        return {b"1": "PBM", b"4": "PBM", b"2": "PGM", b"5": "PGM", b"7": "PAM"}.get(data[1:2], "PPM")
    return media(data)


def media(data: bytes) -> str | None:
    """Return the format of an ISO media file by its brands; None for a file of another kind."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, end, 4))]
    exact = [brand for brand in brands if brand in BRANDS and brand not in GENERAL]
    for brand in (*exact, *brands):
        if brand in BRANDS:
            return BRANDS[brand]
    return "a video or another ISO media file"


def _markup(data: bytes) -> str | None:
    """Recognize SVG, HTML and other XML, in UTF-8 or UTF-16, also with text before the first tag."""
    start = data[:LOOKED_AT]
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")):
        start = start.replace(b"\0", b"")  # as far as tags go, UTF-16 is ASCII with zeros between
    for mark in (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"):
        start = start.removeprefix(mark)
    if not MARKUP.match(start):
        return None
    lower = start.lower()
    if b"<svg" in lower or b":svg" in lower or b"doctype svg" in lower:
        return "SVG"
    return "HTML" if b"html" in lower else "SVG" if b"<?xml" in lower else None
