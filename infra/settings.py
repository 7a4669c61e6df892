"""The stack's settings: `context` of cdk.json, or `-c name=value`; each default is written here and nowhere else."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from infra import patterns
from infra.context_keys import ours
from infra.errors import SettingsError
from infra.source_prefix import BUCKET, check_source

Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: _split(value))]
Dialect = Literal["bedrock", "cohere", "immich", "jina", "tei", "voyage", "weaviate"]
Dialects = Annotated[tuple[Dialect, ...], BeforeValidator(lambda value: _split(value))]
Directory = Annotated[Path, BeforeValidator(lambda value: _home(value))]
Issuer = Annotated[str, StringConstraints(pattern=patterns.ISSUER), AfterValidator(patterns.check_issuer)]
Bucket = Annotated[str, StringConstraints(pattern=BUCKET)]
Source = Annotated[str, AfterValidator(check_source)]
Origin = Annotated[str, StringConstraints(pattern=patterns.ORIGIN), AfterValidator(patterns.check_origin)]
Origins = Annotated[tuple[Origin, ...], BeforeValidator(lambda value: _split(value))]
Buckets = Annotated[tuple[Bucket, ...], BeforeValidator(lambda value: _split(value))]
MIN_MEMORY, MAX_MEMORY = 512, 10_240  # MB of a function: what the handler needs at least, and Lambda's most
LANCE_MB = 1_024  # LanceDB takes 350 MB beside the model
GATEWAY_SECONDS = 29  # an HTTP API gives up at 30 in any case
IMAGE_PIXELS, REQUEST_PIXELS = 40_000_000, 400_000_000  # the handler's defaults, as tests/contracts compares them
DIRECT_SECONDS = 60  # of an Invoke that no gateway waits for, unless `timeout` says otherwise
# CloudWatch Logs takes these and no other (PutRetentionPolicy).
# fmt: off
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180,
    365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)
# fmt: on
# Settings that do nothing where another one is off: these, the other one, and a value with which it is on.
NEEDS = (
    (
        (
            "batch_output",
            "batch_memory",
            "batch_concurrency",
            "batch_max_failed",
            "batch_tolerated_shards",
            "batch_vectors",
        ),
        "batch_source",
        "<bucket>",
    ),
    (("search_memory", "search_url_buckets", "search_url_seconds"), "search", "lance"),
    (("search_url_seconds",), "search_url_buckets", "<bucket>"),
    (("jwt_issuer", "jwt_audience"), "auth", "jwt"),
    (("previous_key_minutes",), "auth", "api_key"),
    (("pages_rate", "pages_burst"), "pages", "true"),
)


class StackSettings(BaseModel):
    """What may differ between two deployments of one package."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stack_name: Annotated[str, StringConstraints(pattern=patterns.STACK)] = "openclip"
    build_dir: Directory = Path("build")  # where `make package` wrote
    # Of the names of what CDK uploads, so that a stack's uploads can be told apart and deleted. None: they are shared.
    asset_prefix: Annotated[str, StringConstraints(pattern=patterns.PREFIX)] | None = None

    # MB; 1,769 buy one vCPU, and a new account may have 3,008. The default of a package that names none itself
    memory: int = Field(default=3008, ge=MIN_MEMORY, le=MAX_MEMORY)
    # Seconds. None: as long as the gateway waits, since after that it is paid for nobody; see `direct_invokes`.
    timeout: int | None = Field(default=None, ge=10, le=900)
    direct_invokes: bool = False  # callers who invoke the function itself wait for longer than the gateway does
    # MB of /tmp; over 512 only with OPENCLIP_CACHE_MODE=copy
    ephemeral_storage: int = Field(default=512, ge=512, le=10240)
    threads: int | None = Field(default=None, ge=1, le=6)  # of the engine; None: what the memory buys
    cache_mode: Literal["link", "copy"] = "link"
    snap_start: bool = True
    reserved_concurrency: int | None = Field(
        default=None, ge=1
    )  # no more than this at once; None: what the account has left
    provisioned_concurrency: int | None = Field(default=None, ge=1)  # kept warm, and paid for by the hour

    auth: Literal["api_key", "iam", "jwt", "none"] = "api_key"
    jwt_issuer: Issuer | None = None
    jwt_audience: Names = ()
    throttle_rate: float = Field(default=50, gt=0)  # requests per second, of all callers together
    throttle_burst: int = Field(default=100, ge=1)
    previous_key_minutes: int = Field(default=60, ge=0, le=10_080)  # how long a key that was replaced is let through
    pages: bool = True  # `/`, `/docs`, `/openapi.json`, which ask for no credential
    pages_rate: float = Field(default=5, gt=0)  # requests per second of each page, of all callers together
    pages_burst: int = Field(default=10, ge=1)
    cors_origins: Origins = ()  # none: no browser on another origin may call

    dialects: Dialects | None = None  # of these vendors' APIs, which are answered; empty: none, None: all
    allowed_buckets: Buckets = ()  # what s3:// inputs may name
    # Limits of the handler, each an OPENCLIP_ variable. None: what handler/settings.py has.
    max_items: int | None = Field(default=None, ge=1)
    max_body_bytes: int | None = Field(default=None, ge=1, le=6_291_456)  # Lambda's own limit
    max_image_pixels: int | None = Field(default=None, ge=1)
    max_request_pixels: int | None = Field(default=None, ge=1)
    max_object_bytes: int | None = Field(default=None, ge=1)
    model_memory_mb: int | None = Field(default=None, ge=1)
    jpeg_decoding: Literal["full", "reduced"] | None = (
        None  # of large JPEGs. None: as the bundle's build found it exact
    )
    exif_orientation: bool = False  # turn images as their EXIF says; open_clip does not. A request may say otherwise
    vpc: Literal["none", "isolated"] = "none"

    # A bucket, or bucket/prefix, that is embedded as a whole. None: nothing of a batch is deployed.
    batch_source: Source | None = None
    batch_output: Bucket | None = None  # for plans and results; None: a bucket of the stack's own
    batch_concurrency: int = Field(default=50, ge=1, le=10_000)  # workers of a run at once
    batch_memory: int | None = Field(default=None, ge=MIN_MEMORY, le=MAX_MEMORY)  # MB of a worker; None: as `memory`
    batch_max_failed: float = Field(default=0.5, ge=0, le=1)  # share of a shard's images; past it the shard fails
    batch_tolerated_shards: float = Field(default=5, ge=0, le=100)  # percent of shards; past it the run stops
    batch_vectors: Literal["float32", "int8"] = "float32"  # numbers of a vector in Parquet; int8 by the API's scale

    # What keeps the index of the search over a batch's vectors. None: nothing of a search is deployed.
    search: Literal["lance", "s3vectors"] | None = None
    search_memory: int | None = Field(default=None, ge=LANCE_MB, le=MAX_MEMORY)  # MB; None: `memory`, LANCE_MB at least
    search_url_buckets: Buckets = ()  # whose objects a result may have a presigned URL of
    search_url_seconds: int | None = Field(default=None, ge=1, le=604_800)  # that it holds; None: what the handler has
    log_retention: int = 30  # days
    # The function's own lines. No level over INFO: with it, Lambda drops the lines that metrics and alarms are made of.
    log_level: Literal["TRACE", "DEBUG", "INFO"] = "INFO"
    tracing: bool = True  # by X-Ray, which bills each trace; Lambda's sampling rate cannot be changed

    alarm_topic_arn: Annotated[str, StringConstraints(pattern=patterns.TOPIC)] | None = None
    alarm_p99: float = Field(default=10, gt=0)  # seconds, and no more than an invocation may take
    alarm_server_errors: float = Field(default=5, gt=0, le=100)  # percent of the requests of five minutes
    alarm_cold_start: float = Field(default=8, gt=0, le=900)  # seconds of restore or init; past 10 an init starts again

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> Self:
        """Read what is ours in CDK's context. Values of `-c` are texts: `true`, `2048`, `a,b`.

        Raises SettingsError naming the key, its value and what may stand there.
        """
        found = ours(context, {name: field.default for name, field in cls.model_fields.items()})
        try:
            return cls(**found)
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(problem) for problem in error.errors())) from error

    @property
    def answered_dialects(self) -> tuple[str, ...]:
        """The vendors' APIs that are answered."""
        return get_args(Dialect) if self.dialects is None else self.dialects

    @property
    def function_timeout(self) -> int:
        """Seconds that an invocation may take."""
        return self.timeout or (DIRECT_SECONDS if self.direct_invokes else GATEWAY_SECONDS)

    @property
    def batch_bucket_and_prefix(self) -> tuple[str, str]:
        """The source of a batch, as bucket and prefix; the prefix may be empty."""
        bucket, _, prefix = (self.batch_source or "").partition("/")
        return bucket, prefix

    @model_validator(mode="after")
    def _check_what_goes_together(self) -> Self:
        if self.snap_start and self.provisioned_concurrency:
            raise ValueError(
                "snap_start and provisioned_concurrency exclude each other on Lambda: set snap_start=false"
            )
        if self.snap_start and self.ephemeral_storage > 512:
            raise ValueError("snap_start takes 512 MB of ephemeral_storage and no more: set snap_start=false")
        if self.batch_source and self.vpc == "isolated":
            raise ValueError("batch_source and vpc=isolated exclude each other: a batch's worker runs outside of a VPC")
        if self.search and not self.batch_source:
            raise ValueError(f"search={self.search} needs batch_source=<bucket>: it finds what a batch has embedded")
        if self.auth == "jwt" and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("auth=jwt needs jwt_issuer=https://... and jwt_audience=...")
        self._check_effects()
        if self.function_timeout > GATEWAY_SECONDS and not self.direct_invokes:
            raise ValueError(
                f"timeout={self.timeout}: the HTTP API gives up after {GATEWAY_SECONDS} seconds, and nobody gets a "
                "later result. For callers who invoke the function itself, set direct_invokes=true"
            )
        self._check_limits()
        self._check_concurrency()
        if self.log_retention not in RETENTION_DAYS:
            raise ValueError(
                f"log_retention={self.log_retention}: CloudWatch takes {', '.join(map(str, RETENTION_DAYS))}"
            )
        return self

    def _check_effects(self) -> None:
        given = {name for name in self.model_fields_set if getattr(self, name) not in (None, ())}
        for names, needed, value in NEEDS:
            is_on = self.auth == value if needed == "auth" else getattr(self, needed)
            if not is_on and (idle := [name for name in names if name in given]):
                out = " and ".join(idle) if len(idle) < 3 else "these"
                raise ValueError(
                    f"without {needed}={value} nothing is done with {', '.join(idle)}: set it, or leave {out} out"
                )

    def _check_concurrency(self) -> None:
        """Leave a place beside what is kept warm: a deployment asks a new version before the alias moves to it.

        Without one Lambda refuses that call, and no deployment after the first would pass its gate.
        """
        reserved, provisioned = self.reserved_concurrency, self.provisioned_concurrency
        if reserved and provisioned and provisioned >= reserved:
            raise ValueError(
                f"provisioned_concurrency={provisioned} leaves no place of reserved_concurrency={reserved} for the "
                f"health check of the next deployment: set reserved_concurrency={provisioned + 1} or more"
            )

    def _check_limits(self) -> None:
        if (self.model_memory_mb or 0) > self.memory:
            raise ValueError(f"model_memory_mb={self.model_memory_mb} is more than memory={self.memory}")
        image, request = self.max_image_pixels or IMAGE_PIXELS, self.max_request_pixels or REQUEST_PIXELS
        if image > request:
            raise ValueError(
                f"max_image_pixels={image} is more than max_request_pixels={request}: lower the first, or raise the "
                f"second (their defaults are {IMAGE_PIXELS} and {REQUEST_PIXELS})"
            )
        if self.alarm_p99 > (most := self.function_timeout):
            raise ValueError(f"alarm_p99={self.alarm_p99:g} is over the timeout and never reached: give {most} at most")


def _home(value: Any) -> Any:
    return os.path.expanduser(value) if isinstance(value, str) else value  # noqa: PTH111 - no home: as it is


def _split(value: Any) -> Any:
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _explain(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"]))
    facts = problem.get("ctx", {})
    said = str(facts.get("error", problem["msg"]))  # without the "Value error, " of pydantic
    if "pattern" in facts:
        said = f"write {patterns.WORDS[facts['pattern']]}"
    if not where:  # of what goes together: the message names the settings itself
        return said
    return f"{where}={problem['input']}: {said} (in cdk.json's context, or given with -c)"
