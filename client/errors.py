"""What stops the client: the message says what was wrong, where, and the mend."""


class ClientError(Exception):
    """Base of all: the command line prints the message alone."""


class InputError(ClientError):
    """A file that cannot be sent."""


class OutputError(ClientError):
    """Results that cannot be written as asked."""


class AnswerError(ClientError):
    """The API answered with an error, or did not answer. `status` is 0 where there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
