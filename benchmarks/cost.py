"""What a million embeddings cost on AWS Lambda, from what was measured on as many processors as the memory buys."""

from openclip_lambda.batch.prices import Prices

MB_PER_VCPU = 1769  # AWS Lambda's documentation, "Configure Lambda function memory"
DOLLARS_PER_GB_SECOND = Prices().lambda_gb_second_x86_64
DOLLARS_PER_MILLION_REQUESTS = Prices().lambda_requests_million
TITAN_DOLLARS_PER_MILLION_IMAGES = 60.0  # Amazon Bedrock pricing, Titan Multimodal Embeddings: $0.00006 an image
MILLION = 1_000_000


def dollars_per_million(seconds_by_cpus: dict[int, float], peak_bytes: float) -> tuple[float, int] | None:
    """Return dollars for a million requests of one item, and the cheapest memory setting in MB.

    `seconds_by_cpus` is what one warm request takes on that many processors. A setting smaller than the peak does not
    count; None where none is large enough.
    """
    settings = {MB_PER_VCPU * cpus: seconds for cpus, seconds in seconds_by_cpus.items()}
    costs = [
        (seconds * memory / 1024 * DOLLARS_PER_GB_SECOND * MILLION + DOLLARS_PER_MILLION_REQUESTS, memory)
        for memory, seconds in settings.items()
        if memory * 1024 * 1024 >= peak_bytes
    ]
    return min(costs, default=None)
