"""What a million embeddings cost: on AWS Lambda, by measured times, and by the hosted models of Amazon Bedrock."""

from layer.registry.cost import MB_PER_VCPU, dollars_per_million

NOVA, TITAN = "Amazon Nova Multimodal Embeddings", "Amazon Titan Multimodal Embeddings"
# List prices of Amazon Bedrock in dollars: of an image, and of 1,000 tokens of text.
HOSTED = {NOVA: (0.00006, 0.000135), TITAN: (0.00006, 0.0008)}
CAPTION_TOKENS = 10  # of a short caption


def hosted(image: float, thousand_tokens: float) -> tuple[float, float]:
    """Return dollars for a million images, and for a million captions of CAPTION_TOKENS tokens."""
    return image * 1e6, thousand_tokens / 1000 * CAPTION_TOKENS * 1e6


def cheapest(seconds_by_cpus: dict[int, float], peak_bytes: float) -> tuple[float, int] | None:
    """Return dollars for a million requests of one item, and the cheapest memory setting in MB.

    `seconds_by_cpus` is what one warm request takes on that many processors. A setting smaller than the peak does not
    count; None where none is large enough.
    """
    settings = {MB_PER_VCPU * cpus: seconds for cpus, seconds in seconds_by_cpus.items()}
    holding = {memory: seconds for memory, seconds in settings.items() if memory * 1024 * 1024 >= peak_bytes}
    return min(((dollars_per_million(seconds, memory), memory) for memory, seconds in holding.items()), default=None)
