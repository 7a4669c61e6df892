"""Images in S3: `s3://bucket/key[?versionId=...]` of the allowed buckets, fetched together within limits."""

import functools
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from handler.errors import ApiError, shorten
from handler.settings import Settings

AT_ONCE = 16  # connections; one object of a few hundred kilobytes takes some 50 ms, nearly all of it waiting
SECONDS = 15  # for all objects of a request: the gateway gives up at 30
CHUNK = 1_000_000  # bytes that are read between two checks of the deadline
TOTAL_OBJECTS = 8  # times the size of one object: what a request may hold in memory
MAX_KEY_BYTES = 1_024  # S3's own limit
SCHEME = "s3://"
# S3's own codes, docs.aws.amazon.com: AmazonS3 "Error responses"
MISSING = ("NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404")
ARCHIVED = "InvalidObjectState"
UNREADABLE = (
    "AccessDenied", "403", "AllAccessDisabled", "InvalidArgument", "MethodNotAllowed",
    "InvalidRequest",  # encrypted with a key of the caller's (SSE-C), which nobody here has
    "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException",
)  # fmt: skip
# What botocore and S3 call credentials that are not there, or that do not hold, as on a workstation.
CREDENTIALS = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
    "UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError",
    "ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch",
)  # fmt: skip

_connections = threading.BoundedSemaphore(AT_ONCE)  # of all requests together, as many as the client keeps open
_making = threading.Lock()


class S3Object(NamedTuple):
    """Where an image is; `version` is None for the newest."""

    bucket: str
    key: str
    version: str | None

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}" + (f"?versionId={self.version}" if self.version else "")


def parse(reference: str, param: str, settings: Settings) -> S3Object:
    """Read a reference. Raises ApiError s3_not_enabled, bucket_not_allowed or invalid_value."""
    if not settings.allowed_buckets:
        raise ApiError(
            "s3_not_enabled",
            "s3:// is not enabled here: send the image as a data URI or as base64, or name the bucket in "
            "OPENCLIP_ALLOWED_BUCKETS",
            param,
        )
    bucket, _, rest = reference[len(SCHEME) :].partition("/")
    if bucket not in settings.allowed_buckets:
        raise ApiError("bucket_not_allowed", f"bucket {shorten(bucket)} is not one that may be read here", param)
    if not _is_unicode(rest):
        raise ApiError("invalid_value", f"{param} is not Unicode: half a surrogate pair", param)
    key, _, version = rest.partition("?versionId=")
    if not 0 < (size := len(key.encode())) <= MAX_KEY_BYTES:
        message = f"{param} has a key of {size:,} bytes: send s3://bucket/key with one of 1 to {MAX_KEY_BYTES:,}"
        raise ApiError("invalid_value", message, param)
    return S3Object(bucket, key, version or None)


class Budget:
    """The bytes that one request may still fetch."""

    def __init__(self, settings: Settings) -> None:
        self.each = settings.max_object_bytes
        self._total = self._left = TOTAL_OBJECTS * self.each
        self._lock = threading.Lock()

    def take(self, size: int, where: S3Object, param: str) -> None:
        """Count an object before it is read. Raises ApiError object_too_large."""
        if size > self.each:
            raise ApiError("object_too_large", f"{where} has {size:,} bytes: at most {self.each:,} are read", param)
        with self._lock:
            self._left -= size
            if self._left < 0:
                raise ApiError(
                    "object_too_large",
                    f"the objects of one request have more than {self._total:,} bytes: send fewer at once",
                    param,
                )


def fetch(wanted: Sequence[tuple[S3Object, str]], settings: Settings) -> dict[S3Object, bytes]:
    """Read every object once. `wanted` are objects, each with its place in the input.

    Raises ApiError with the object's first place as `param`: object_not_found, object_archived, object_not_readable,
    object_too_large, empty_input, s3_unavailable; s3_not_enabled without boto3.
    """
    budget, deadline = Budget(settings), time.monotonic() + SECONDS
    first = dict(reversed(wanted))
    pool = ThreadPoolExecutor(min(AT_ONCE, len(first)), "openclip-s3")
    try:
        futures = {where: pool.submit(_get, where, first[where], budget, deadline) for where in first}
        return {where: _in_time(futures[where], where, first[where], deadline) for where, _ in wanted}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _in_time(future: "Future[bytes]", where: S3Object, param: str, deadline: float) -> bytes:
    """Wait at most until the deadline: boto3's retries of an object may take much longer. Raises ApiError."""
    try:
        return future.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError as error:
        raise _late(where, param) from error


def _get(where: S3Object, param: str, budget: Budget, deadline: float) -> bytes:
    try:
        from botocore.exceptions import BotoCoreError, ClientError

        client = _client()
    except ModuleNotFoundError as error:  # Lambda has it; another machine may not
        fix = "s3:// needs boto3, which is not installed here: run `pip install boto3`"
        raise ApiError("s3_not_enabled", fix, param) from error
    except (BotoCoreError, ValueError) as error:  # as of AWS_PROFILE, AWS_REGION or AWS_ENDPOINT_URL
        raise no_access(f"{where} cannot be fetched", type(error).__name__, param) from error
    version = {"VersionId": where.version} if where.version else {}
    if not _connections.acquire(timeout=max(0.0, deadline - time.monotonic())):
        raise _late(where, param)
    try:
        answer = client.get_object(Bucket=where.bucket, Key=where.key, **version)
        budget.take(int(answer["ContentLength"]), where, param)
        return _read(answer["Body"], where, param, deadline)
    except ClientError as error:
        raise _refusal(error.response.get("Error", {}).get("Code", ""), where, param) from error
    except (BotoCoreError, OSError) as error:
        what, name = f"{where} cannot be fetched", type(error).__name__
        if name in CREDENTIALS:
            raise no_access(what, name, param) from error
        raise ApiError("s3_unavailable", f"{what}: {name}", param) from error
    finally:
        _connections.release()


def _read(body: Any, where: S3Object, param: str, deadline: float) -> bytes:
    chunks = []
    for chunk in body.iter_chunks(CHUNK):
        chunks.append(chunk)
        if time.monotonic() > deadline:
            raise _late(where, param)
    if not (data := b"".join(chunks)):
        raise ApiError("empty_input", f"{where} has no bytes", param)
    return data


def _refusal(code: str, where: S3Object, param: str) -> ApiError:
    if code in CREDENTIALS:
        return no_access(f"S3 refuses {where}", code, param)
    if code in MISSING:
        return ApiError("object_not_found", f"{where} is not there", param)
    if code == ARCHIVED:
        return ApiError("object_archived", f"{where} is archived: restore it (`aws s3api restore-object`)", param)
    if code in UNREADABLE:
        fix = "it is not there, has a key that cannot be used, or the function's role may not read it"
        return ApiError("object_not_readable", f"S3 refuses {where} ({code}): {fix}", param)
    return ApiError("s3_unavailable", f"S3 answered {code} for {where}: try again", param)


def no_access(what: str, reason: str, param: str) -> ApiError:
    """Return the error for credentials or settings of AWS with which nothing can be asked of S3, or signed for it."""
    fix = "correct the AWS credentials and settings where this runs (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL)"
    return ApiError("s3_unavailable", f"{what} ({reason}): {fix}", param)


def _late(where: S3Object, param: str) -> ApiError:
    return ApiError("s3_unavailable", f"{where} took longer than {SECONDS} s: send fewer at once", param)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _client() -> Any:
    """Return the client of this process. boto3 cannot create clients in several threads, but several may use one."""
    with _making:
        return _made()


@functools.cache
def _made() -> Any:
    import boto3  # late: a third of a second, and most functions never read from S3
    from botocore.config import Config

    retries: Any = {"mode": "standard", "max_attempts": 3}
    config = Config(connect_timeout=2, read_timeout=5, retries=retries, max_pool_connections=AT_ONCE)
    return boto3.client("s3", config=config)
