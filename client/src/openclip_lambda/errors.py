"""What stops the client, or costs it one item: the message says what was wrong, where, and the fix."""


class ClientError(Exception):
    """Base of all: the command line prints the message alone."""


class InputError(ClientError):
    """One input that cannot be sent; the message is the reason, without the input's name.

    `kind` groups such reasons in a summary; it is the message where there is none.
    """

    may_pass = False  # a fault of the API: it may have a result next time

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind or message


class OutputError(ClientError):
    """Results that cannot be written as asked."""


class ResponseError(ClientError):
    """The API responded with an error, with something that is no result of it, or not at all.

    `status` is 0 where there was no response. `code` and `param` are those of the API's error body, where it has one:
    branch on `code`. `reason` is its message alone. `wait` is how many seconds the API asked to wait.
    """

    may_pass = False  # of a request without a response: whether another try may have one

    def __init__(
        self,
        message: str,
        status: int = 0,
        code: str | None = None,
        param: str | None = None,
        reason: str | None = None,
        wait: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.wait = status, code, param, wait
        self.reason = reason or message


class CredentialsError(ResponseError):
    """401 or 403: no credentials, or not those of this API."""


class BusyError(ResponseError):
    """429, 502, 503 or 504, after all tries: throttled, or without a free place."""


class RequestError(ResponseError):
    """Another 4xx: the request is wrong, or one of its items; `code` says how and `param` where."""


class ServerError(ResponseError):
    """Another 5xx: a fault of the API."""


def error_of(
    message: str,
    status: int,
    code: str | None = None,
    param: str | None = None,
    reason: str | None = None,
    wait: float | None = None,
) -> ResponseError:
    """Return the error of the class that a status has."""
    kind = ResponseError
    if status in (401, 403):
        kind = CredentialsError
    elif status in (429, 502, 503, 504):
        kind = BusyError
    elif 400 <= status < 500:
        kind = RequestError
    elif status >= 500:
        kind = ServerError
    return kind(message, status, code, param, reason, wait)
