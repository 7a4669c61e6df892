"""Credentials of a request: an API key or a token, an AWS signature, or none."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from openclip_lambda.errors import ClientError
from openclip_lambda.extras import install_command

Headers = Mapping[str, str]
# A function from the method, URL, headers and body of a request to the headers that it is sent with.
Sign = Callable[[str, str, Headers, bytes | None], Headers]

# An address of AWS contains its region, and the service that checks the signature: API Gateway, or Lambda for a
# function URL. Any other address is the user's own domain in front of API Gateway.
AWS_HOST = re.compile(
    r"(?:https?://)?[^/?#]+\.(execute-api|lambda-url)\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com|on\.aws)"
)
SERVICES = {"execute-api": "execute-api", "lambda-url": "lambda"}
LOGIN = '"botocore[crt]"'  # in quotes, or zsh takes the brackets for a pattern
WRAPPING = " \t\r\n\v\f'\"`“”‘’\ufeff\u200b\xa0"  # characters that are often copied with a token, at its ends


def unsigned(_method: str, _url: str, headers: Headers, _body: bytes | None) -> Headers:
    """Add no credentials."""
    return headers


def bearer(token: str) -> Sign:
    """Return a function that adds an API key or a JWT. Raises ClientError, without the token, if it cannot be sent."""
    token = cleaned(token)

    def sign(_method: str, _url: str, headers: Headers, _body: bytes | None) -> Headers:
        return {**headers, "authorization": f"Bearer {token}"}

    return sign


def cleaned(token: str) -> str:
    """Remove what was copied with a token: white space and quotes at its ends, the header's name, the word Bearer."""
    token = token.strip(WRAPPING)
    while found := re.match(r"(authorization\s*:\s*)?bearer(\s+|$)|authorization\s*:\s*", token, re.IGNORECASE):
        token = token[found.end() :].strip(WRAPPING)
    if not token:
        raise ClientError("the API key is empty, or the word Bearer alone: quote it where it has a space before it")
    _check("the API key", token)
    return token


def _check(name: str, value: str) -> None:
    """Raise ClientError for a character that a header cannot have; the message has its place, and not the value."""
    for place, letter in enumerate(value, 1):
        if not "!" <= letter <= "~" or letter in "\"'":
            kind = "white space" if letter.isspace() else "a quote" if letter in "\"'" else "no printable ASCII"
            raise ClientError(f"{name} has {kind} at character {place} of {len(value)}: copy it again, without that")


def signature(region: str | None, url: str = "") -> Sign:
    """Return a function that signs with botocore, with the credentials that the AWS CLI would use.

    The region is the given one, else the address's, else the environment's. Raises ClientError if there are no
    credentials or no region, or if botocore cannot read its configuration.
    """
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError as error:
        raise ClientError(f"--sigv4 needs the Python package botocore: {install_command('botocore')}") from error

    host = AWS_HOST.match(url.strip().lower())
    service = SERVICES[host[1]] if host else "execute-api"
    try:
        session = Session()
        found = session.get_credentials()
        environment = os.environ.get("AWS_REGION") or session.get_config_variable("region")  # botocore knows no such
        where = region or (host[2] if host else environment)
        frozen = found.get_frozen_credentials() if found else None
    except BotoCoreError as error:
        told = sign_in(error) or f"AWS credentials cannot be read: {error}. Look at AWS_PROFILE and ~/.aws"
        raise ClientError(told) from error
    _check_usable(frozen, where)

    def sign(method: str, url: str, headers: Headers, body: bytes | None) -> Headers:
        request = AWSRequest(method, url, dict(headers), body)
        try:
            SigV4Auth(found, service, where).add_auth(request)
        except BotoCoreError as error:  # they have expired, and could not be renewed
            raise ClientError(sign_in(error) or f"AWS credentials cannot be renewed: {error}. Sign in again") from error
        return dict(request.headers.items())

    return sign


def sign_in(error: Exception) -> str | None:
    """Say what to do about botocore's error of a sign-in, by `aws login` or `aws sso login`; None for another error."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "MissingDependencyException" in kinds:
        return f"the AWS credentials are of `aws login`, which needs one more package: {install_command(LOGIN)}"
    if kinds & {"SSOError", "LoginError", "TokenRetrievalError"}:
        return f"{error}. Sign in again: `aws sso login`, or `aws login`"
    return None


def _check_usable(frozen: Any, region: Any) -> None:
    """Raise ClientError if requests cannot be signed with these credentials and this region."""
    if frozen is None:
        raise ClientError("no AWS credentials found: run `aws configure`, or set AWS_ACCESS_KEY_ID and its secret")
    if not region:
        raise ClientError("no AWS region: give --region, or set AWS_REGION")
    if not re.fullmatch(r"[a-z0-9-]+", region):
        raise ClientError("the AWS region is no region's name, as eu-west-1 is: look at --region and AWS_REGION")
    _check("the AWS access key", frozen.access_key)
    _check("the AWS secret key", frozen.secret_key)
    _check("the AWS session token", frozen.token or "")
