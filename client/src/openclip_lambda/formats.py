"""Recognize the images that the API takes, and name the format of other files: by the first bytes, else the name."""

from pathlib import PurePath

HEAD_BYTES = 256  # as far as the API looks for the brands of an ISO media file
FIX = "convert it to JPEG, PNG or WebP"

# The suffixes of formats that the API takes; a directory is searched for these.
SUFFIXES = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".apng": "PNG",
    ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".dib": "BMP",
}  # fmt: skip
# The suffixes of other formats that users think of as images: such files of a directory are reported as skipped.
OTHER_SUFFIXES = {
    ".heic": "HEIC", ".heif": "HEIF", ".hif": "HEIF", ".avif": "AVIF", ".tif": "TIFF", ".tiff": "TIFF",
    ".jxl": "JPEG XL", ".jp2": "JPEG 2000", ".j2k": "JPEG 2000", ".jpx": "JPEG 2000", ".svg": "SVG", ".psd": "PSD",
    ".ico": "ICO", ".tga": "TGA", ".exr": "OpenEXR", ".hdr": "Radiance HDR", ".qoi": "QOI", ".dds": "DDS",
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"), "camera raw"),
    **dict.fromkeys((".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".3gp", ".mpg", ".wmv", ".mts"), "video"),
}  # fmt: skip
TAKEN = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")
OTHER_STARTS = {
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
    b"\x8aMNG\r\n\x1a\n": "MNG", b"\x8bJNG\r\n\x1a\n": "JNG", b"<svg": "SVG", b"\x1aE\xdf\xa3": "video",
}  # fmt: skip
# Brands of ISO base media files. The first known brand of a file counts; one of GENERAL only if no other is known.
BRANDS = {
    b"avif": "AVIF", b"avis": "AVIF", b"avio": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"mif1", b"mif2", b"msf1", b"miaf"), "HEIF"),
    b"crx ": "camera raw", b"qt  ": "video",
}  # fmt: skip
GENERAL = (b"mif1", b"mif2", b"msf1", b"miaf")
APPLE_DOUBLE = "macOS's notes on another file (AppleDouble), no image"
NO_IMAGES = {
    b"\0\5\x16\7": APPLE_DOUBLE,
    b"version https://git-lfs": "a Git LFS pointer, no image: run git lfs pull",
}


CONVERTED = ("HEIC", "HEIF", "AVIF", "TIFF")  # the client reads these, and sends them as JPEG or PNG


def has_image_suffix(name: str) -> bool:
    """Say whether a file of a directory is sent or reported as skipped; all others are ignored."""
    suffix = PurePath(name).suffix.lower()
    return suffix in SUFFIXES or suffix in OTHER_SUFFIXES


def why_not_by_name(name: str) -> str | None:
    """Say why a file of a directory is skipped without opening it; None if it is opened."""
    path = PurePath(name)
    if path.name.startswith("._"):
        return f"it is {APPLE_DOUBLE}"
    return _unsupported("video") if OTHER_SUFFIXES.get(path.suffix.lower()) == "video" else None


def convertible(name: str, head: bytes) -> str | None:
    """Return the format of a file that has to be converted, by its first HEAD_BYTES; None for any other file."""
    kind = None if _is_taken(head) else _kind(name, head)
    return kind if kind in CONVERTED else None


def why_not(name: str, head: bytes) -> str | None:
    """Say why a file is not sent, by its first HEAD_BYTES; None if it is sent, and the API decides."""
    if not head:
        return "it is empty"
    if _is_taken(head):
        return None
    for start, what in NO_IMAGES.items():
        if head.startswith(start):
            return f"it is {what}"
    kind = _kind(name, head)
    return None if kind is None or kind in CONVERTED else _unsupported(kind)


def _unsupported(kind: str) -> str:
    return f"{kind} is not supported: {'take a frame of it' if kind == 'video' else FIX}"


def _is_taken(head: bytes) -> bool:
    return head.startswith(TAKEN) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _kind(name: str, head: bytes) -> str | None:
    by_name = OTHER_SUFFIXES.get(PurePath(name).suffix.lower())
    found = _other_kind(head)
    return by_name if found == "TIFF" and by_name == "camera raw" else found or by_name  # many raw formats are TIFF


def _other_kind(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        end = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
        exact = [brand for brand in brands if brand in BRANDS and brand not in GENERAL]
        return next((BRANDS[brand] for brand in (*exact, *brands) if brand in BRANDS), "video")
    return next((kind for start, kind in OTHER_STARTS.items() if head.startswith(start)), None)
