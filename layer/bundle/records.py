"""manifest.json as records, for the builder to write and read. docs/manifest.schema.json describes the same.

An optional field has a default. A key that no record has is ignored: a later builder may write more.
"""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from layer.bundle.blob_records import HostBlob
from layer.bundle.export_records import Export, TowerFacts
from layer.bundle.quality_records import Certificate
from layer.spec import Target

NAME = "manifest.json"
SCHEMA = 3  # rises when a reader of the number before could not read the file


@dataclass(frozen=True)
class BundleFile:
    """One file: `path` relative to the bundle, `size` in bytes, `sha256` as 64 hex digits."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A repository that the model was made from, at one commit. `roles`: weights, config, tokenizer, text_config.

    `as_found` names the files of a prepared source that had no hash to compare.
    """

    repo: str
    revision: str
    roles: list[str]
    license: str | None
    as_found: list[str] | None = None


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes pixels, with every default of open_clip written out."""

    mean: list[float]
    std: list[float]
    interpolation: str
    resize_mode: str
    fill_color: int | list[int]


@dataclass(frozen=True)
class Tokenizer:
    """Settings of open_clip's tokenizer. `kind` is "simple" for open_clip's own, or "hf" for that of a repository."""

    kind: str
    repo: str | None
    context_length: int
    clean: str
    strip_sep_token: bool
    mode: str | None
    pad_id: int


@dataclass(frozen=True)
class ExportedSimpleTokenizer(Tokenizer):
    """open_clip's own tokenizer as a tokenizer.json, with the facts that this file does not have."""

    special_tokens: dict[str, int]
    bos_id: int
    eos_id: int
    longest_piece: int | None = None  # characters, of a vocabulary that is mapped


@dataclass(frozen=True)
class MappedVocabulary:
    """A large vocabulary as arrays that are mapped into memory. `before` and `after` are the ids around every text.

    `longest` is the length of the longest piece in characters, `lowest` the piece with the lowest score. The other
    fields are settings of the `tokenizers` library.
    """

    model: str
    longest: int
    before: list[int]
    after: list[int]
    unk_token: str | None
    lowest: str | None
    byte_fallback: bool
    fuse_unk: bool
    ignore_merges: bool


@dataclass(frozen=True)
class ExportedHfTokenizer(Tokenizer):
    """A repository's tokenizer as a tokenizer.json, with transformers' settings; `vocabulary` if it is mapped."""

    padding_side: str
    truncation_side: str
    bos_id: int | None
    eos_id: int | None
    sep_id: int | None
    cls_id: int | None
    vocabulary: MappedVocabulary | None = None


@dataclass(frozen=True)
class Golden:
    """What open_clip itself computed: token ids, and unit-length embeddings as base64 of float32."""

    texts: list[str]
    token_ids: list[list[int]]
    text_embeddings: list[str]
    images: list[str]  # PNG, base64
    image_embeddings: list[str]
    tokenized_texts: list[str] = field(default_factory=list)  # texts of which only the token ids are compared
    tokenized_ids: list[list[int]] = field(default_factory=list)

    def and_then(self, other: "Golden") -> "Golden":
        """Return this with the texts and images of another one appended; `tokenized_texts` stay those of this one."""
        return replace(
            self,
            texts=self.texts + other.texts,
            token_ids=self.token_ids + other.token_ids,
            text_embeddings=self.text_embeddings + other.text_embeddings,
            images=self.images + other.images,
            image_embeddings=self.image_embeddings + other.image_embeddings,
        )

    def and_tokenized(self, texts: list[str], ids: list[list[int]]) -> "Golden":
        """Return this with more texts of which only the token ids are compared."""
        return replace(self, tokenized_texts=self.tokenized_texts + texts, tokenized_ids=self.tokenized_ids + ids)


@dataclass(frozen=True)
class ModelFacts:
    """What open_clip says of a model. `image_size` is height, width."""

    embed_dim: int
    image_size: tuple[int, int]
    context_length: int
    logit_scale: float
    logit_bias: float | None
    preprocess: Preprocess
    tokenizer: ExportedSimpleTokenizer | ExportedHfTokenizer | Tokenizer
    golden: Golden


@dataclass(frozen=True)
class ExportedFacts(ModelFacts):
    """What is known of a model once its towers are exported."""

    export: TowerFacts


@dataclass(frozen=True)
class ModelName:
    """What a model is called: by clients (`id`), as a directory (`slug`), by open_clip (`name`, `pretrained`)."""

    id: str
    slug: str
    name: str
    pretrained: str | None
    engine: str
    precision: str


@dataclass(frozen=True, kw_only=True)
class ModelEntry(ModelFacts, ModelName):
    """One model of the bundle. `jpeg_decoding` is "full", or "reduced": large JPEGs at a scale that is enough."""

    jpeg_decoding: str = "full"
    export: Export | None = None  # of a fast engine
    host_blobs: list[HostBlob] | None = None
    quality: list[Certificate] | None = None  # of a model that was evaluated
    vectors_sha256: str | None = None  # names its vectors (layer.bundle.vectors); None in a trial of the gate
    sources: list[Source]


@dataclass(frozen=True)
class Manifest:
    """All of manifest.json. `created_at` is UTC, as 2026-11-26T18:40:26Z; `versions` are the builder's libraries.

    `facts_sha256` is of all the other values (layer.bundle.manifest); None before they are written.
    """

    schema: int
    created_at: str
    target: Target
    versions: dict[str, str | None]
    models: list[ModelEntry]
    files: list[BundleFile]
    facts_sha256: str | None = None


def as_json(value: Any) -> Any:
    """Return a record as JSON values; optional fields that are None are left out."""
    if is_dataclass(value):
        named = {one.name: (getattr(value, one.name), one.default) for one in fields(value)}
        return {name: as_json(held) for name, (held, default) in named.items() if (held, default) != (None, None)}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    return value
