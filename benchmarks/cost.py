"""What a million embeddings cost on AWS Lambda, from what was measured on as many processors as the memory buys."""

from layer.registry.cost import MB_PER_VCPU, dollars_per_million

TITAN_DOLLARS_PER_MILLION_IMAGES = 60.0  # Amazon Bedrock pricing, Titan Multimodal Embeddings: $0.00006 an image


def cheapest(seconds_by_cpus: dict[int, float], peak_bytes: float) -> tuple[float, int] | None:
    """Return dollars for a million requests of one item, and the cheapest memory setting in MB.

    `seconds_by_cpus` is what one warm request takes on that many processors. A setting smaller than the peak does not
    count; None where none is large enough.
    """
    settings = {MB_PER_VCPU * cpus: seconds for cpus, seconds in seconds_by_cpus.items()}
    holding = {memory: seconds for memory, seconds in settings.items() if memory * 1024 * 1024 >= peak_bytes}
    return min(((dollars_per_million(seconds, memory), memory) for memory, seconds in holding.items()), default=None)
