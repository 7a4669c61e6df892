"""The stacks' names, and what each is described as: that tells a stack of ours from another one of its name."""

from collections.abc import Mapping

API = "OpenCLIP embeddings from a verified offline bundle"
VECTORS = "OpenCLIP: vectors in S3 Vectors"


def of_vectors(stack: str) -> str:
    """Name the stack beside the API's."""
    return f"{stack}-vectors"


def described(context: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return name and description of each stack that CDK's context asks for."""
    from infra.settings import StackSettings  # late: it needs what is installed

    name = str(context.get("stack_name", StackSettings.model_fields["stack_name"].default))
    return ((name, API), *([(of_vectors(name), VECTORS)] if context.get("search") == "s3vectors" else []))
