"""How a request says who sends it: an API key or a token, an AWS signature, or nothing."""

from collections.abc import Callable, Mapping

from client.errors import ClientError

Headers = Mapping[str, str]
# Method, URL, headers and body of a request to the headers that it is to be sent with.
Sign = Callable[[str, str, Headers, bytes | None], Headers]

SERVICE = "execute-api"


def nobody(_method: str, _url: str, headers: Headers, _body: bytes | None) -> Headers:
    """Send as it is."""
    return headers


def bearer(token: str) -> Sign:
    """Send an API key, or a JWT."""

    def sign(_method: str, _url: str, headers: Headers, _body: bytes | None) -> Headers:
        return {**headers, "authorization": f"Bearer {token}"}

    return sign


def signature(region: str | None) -> Sign:
    """Sign with botocore, by the credentials that every AWS tool would take here.

    Raises ClientError where there are none, or no region.
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.session import Session

    session = Session()
    found, where = session.get_credentials(), region or session.get_config_variable("region")
    if found is None:
        raise ClientError("no AWS credentials found: run `aws configure`, or set AWS_ACCESS_KEY_ID and its secret")
    if not where:
        raise ClientError("no AWS region: give --region, or set AWS_DEFAULT_REGION")

    def sign(method: str, url: str, headers: Headers, body: bytes | None) -> Headers:
        request = AWSRequest(method, url, dict(headers), body)
        SigV4Auth(found, SERVICE, where).add_auth(request)
        return dict(request.headers.items())

    return sign
