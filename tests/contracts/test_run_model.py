"""A run of a collection names its model: the deployment by the package, the worker by the bundle that it has."""

from handler.batch import shard
from infra import package
from tests.contracts.agreement import agree


def test_the_digits_that_name_a_model() -> None:
    agree(
        "the digits of a hash that tell a run's model from another",
        {"handler/batch/shard.py": shard.DIGITS, "infra/package.py": package.DIGITS},
    )
