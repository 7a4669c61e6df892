"""What stops the client, or costs it one item: the message says what was wrong, where, and the fix."""


class ClientError(Exception):
    """Base of all: the command line prints the message alone."""


class InputError(ClientError):
    """One input that cannot be sent; the message is the reason, without the input's name."""


class OutputError(ClientError):
    """Results that cannot be written as asked."""


class ResponseError(ClientError):
    """The API responded with an error, with something that is no result of it, or not at all.

    `status` is 0 where there was no response. `code` and `param` are those of the API's error body, where it has one;
    `reason` is its message alone. `wait` is how many seconds the API asked to wait.
    """

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
