"""What stops a measurement. In every case the stack is destroyed."""


class MeasureError(Exception):
    """Something is missing, AWS refused a step, or a response was wrong; the message says what to do."""


class BudgetError(MeasureError):
    """The next step may cost more than the budget has left."""


class FailedError(MeasureError):
    """No invocation of a kind succeeded, such as with too little memory."""
