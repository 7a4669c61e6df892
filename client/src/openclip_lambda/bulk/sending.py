"""Send a batch, split into parts if the API refuses it: an item is skipped only if it is refused by itself."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from openclip_lambda.bulk.inputs import Prepared
from openclip_lambda.errors import ClientError, InputError, ResponseError
from openclip_lambda.responses import Result

# The items of a request to a result for each. Raises ResponseError.
Ask = Callable[[list[dict[str, Any]]], list[Result]]
Asked = tuple[list[tuple[Prepared, Result]], ClientError | None]  # what has a result, and what ended it

ITEM = re.compile(r"(?:\$\.)?input(?:\[|\.)(\d{1,9})\b")  # what an error calls an item: input[3], input[3].image
MAX_CRASHES = 3  # consecutive items that end in a fault of the API; after that, the items are not the reason


class Sender:
    """Sends batches; several threads may use one."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._crashes = 0

    def send(self, batch: Sequence[Prepared]) -> Asked:
        """Return a result for each input, in order; if an error ends the run, those before it, and the error."""
        answered: list[tuple[Prepared, Result]] = []
        try:
            self._send(list(batch), answered)
        except ClientError as error:
            return answered, error
        return answered, None

    def _send(self, batch: list[Prepared], answered: list[tuple[Prepared, Result]], again: bool = False) -> None:
        """Send a batch, in parts where the API refuses it.

        The item that a refusal names is sent alone, since company may have made it too much. After a second refusal
        what stands before and after it is halved, so a batch in which all items are bad is transferred about log2 of
        its size times, and not once for each of them.
        """
        try:
            results = self._ask([one.item or {} for one in batch])
        except ResponseError as error:
            place = _place(error, len(batch))
            if place is None and not _can_be_split(error):
                raise
            if len(batch) == 1:
                self._blame(batch[0], error, answered)
                return
            if place is None:
                parts = _halves(batch)
            else:
                before, named, after = batch[:place], batch[place : place + 1], batch[place + 1 :]
                parts = [*_halves(before), named, *_halves(after)] if again else [before, named, after]
            for part in filter(None, parts):
                self._send(part, answered, again=True)
            return
        self._crashes = 0
        answered += zip(map(Prepared.without_item, batch), results, strict=True)

    def _blame(self, one: Prepared, error: ResponseError, answered: list[tuple[Prepared, Result]]) -> None:
        refused = InputError(error.reason, f"refused by the API: {error.code or error.status}")
        refused.may_pass = error.status >= 500
        answered.append((one.without_item(), refused))
        self._crashes = self._crashes + 1 if error.status >= 500 else 0
        if self._crashes == MAX_CRASHES:
            raise error


def _place(error: ResponseError, count: int) -> int | None:
    """Return which item of the request the API names, if one."""
    found = ITEM.match(error.param or "")
    return place if found and (place := int(found[1])) < count else None


def _can_be_split(error: ResponseError) -> bool:
    """Say whether fewer items may succeed: there were too many, or one of them may have caused the fault."""
    too_much = error.status == 413 or (error.code or "").endswith(("_too_large", "_too_complex", "internal_error"))
    return error.param == "input" or (error.param is None and too_much)


def _halves(batch: list[Prepared]) -> list[list[Prepared]]:
    middle = (len(batch) + 1) // 2
    return [batch[:middle], batch[middle:]]
