"""`make measure` leaves no image in the account: what ECR does not delete is said, and stays in the record."""

from typing import Any

import pytest
from botocore.session import Session
from botocore.stub import Stubber

from benchmarks.measure.destroy import _delete_images
from benchmarks.measure.errors import MeasureError

PREFIX = "openclip-measure-00000000-"
TAG = f"{PREFIX}abc"


def deleted(failures: list[dict[str, Any]]) -> None:
    """Delete the images of a repository whose answers are of botocore's model of ECR."""
    client = Session().create_client(
        "ecr", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    with Stubber(client) as ecr:
        others = [{"imageTag": "somebody-s"}, {"imageDigest": f"sha256:{'0' * 64}"}]
        ecr.add_response("list_images", {"imageIds": [{"imageTag": TAG}, *others]})
        asked = {"repositoryName": "assets", "imageIds": [{"imageTag": TAG}]}
        ecr.add_response("batch_delete_image", {"failures": failures}, asked)
        _delete_images(client, "assets", PREFIX)


def test_an_image_that_ecr_does_not_delete_is_named_with_its_reason() -> None:
    """Amazon ECR, BatchDeleteImage: an image that stays is a `failure` of an answer with status 200."""
    reason = "the repository's key is disabled"
    with pytest.raises(MeasureError, match=rf"assets:{TAG} cannot be deleted: KmsError, {reason}"):
        deleted([{"imageId": {"imageTag": TAG}, "failureCode": "KmsError", "failureReason": reason}])


def test_an_image_that_is_gone_already_is_no_failure() -> None:
    """As where two clean up at once."""
    deleted([{"imageId": {"imageTag": TAG}, "failureCode": "ImageNotFound", "failureReason": "not there"}])
    deleted([])
