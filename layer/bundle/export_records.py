"""What manifest.json says of the towers of a fast engine: how they were made, and how exact they are."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class TowerFacts:
    """What the exporter found out about the text tower. `end_id` None means that the highest id ends a text."""

    causal_text: bool
    end_id: int | None
    token_table: bool


@dataclass(frozen=True)
class GroupedGraph:
    """A second graph, `<tower>.grouped.xml`, over the same weights: for processors with VNNI and without AMX.

    `min_cosine` is what the parity gate measured, `bf16_cosine` the same in bfloat16, as in TowerRecipe.
    """

    activation_group: int
    min_cosine: float
    bf16_cosine: float | None = None


@dataclass(frozen=True)
class TowerRecipe:
    """How a tower's weights are stored. `activation_group` activations share a scale; 0: they are not quantized.

    `bf16_cosine` is the least cosine with bfloat16 between the products, which a processor that has bfloat16 then uses.
    None if the building machine has no bfloat16, or if the parity gate refused it. `grouped` is the tower's second
    graph, None if it has none, or if the gate refused it.
    """

    recipe: str
    activation_group: int
    bf16_cosine: float | None = None
    grouped: GroupedGraph | None = None


@dataclass(frozen=True)
class Parity:
    """The result of the parity gate: the cosines of the worst sample, and the bound `required_cosine` that they met."""

    min_text_cosine: float
    min_image_cosine: float
    texts: int
    images: int
    required_cosine: float | None = None  # of a builder before 0.2.0


@dataclass(frozen=True)
class Trial:
    """A recipe that the parity gate refused. `error` is why it gave no vectors; `min_cosine` is -1 then."""

    tower: str
    recipe: str
    min_cosine: float
    error: str | None = None


@dataclass(frozen=True)
class Export(TowerFacts):
    """How the towers of a fast engine were made, and how exact they are."""

    image: TowerRecipe
    text: TowerRecipe
    parity: Parity | None = None  # None until the gate has run
    tried: list[Trial] = field(default_factory=list)
