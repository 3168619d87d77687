"""Why the database did not do what was asked, in words: the same on pages, in the API and on the command line."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import TimeoutError as NoneFree

from app.database import CommitInDoubt, sqlstate


@dataclass(frozen=True, slots=True)
class Trouble:
    """What stood in the way (`why`) and what to do (`todo`), a sentence or two each.

    `is_undone`: nothing of the transaction was saved; False where an answer to its COMMIT never came.
    """

    why: str
    todo: str
    is_undone: bool = True


_AGAIN = "Try again."
_SOON = "Wait a minute, then try again."
_TELL = " If it lasts, tell whoever runs this service."
_OPERATOR = "Tell whoever runs this service, and try again when that is mended."
# By the beginning of the SQLSTATE, the longest first.
_KNOWN = {
    "25006": Trouble("The database takes no changes at present: it is read-only.", _SOON + _TELL),
    "25P03": Trouble("It stood still in the middle for too long, so the database ended it.", _AGAIN + _TELL),
    "42501": Trouble("The database lets this console no longer at its tables.", _OPERATOR),
    "53100": Trouble("The database has no room left on its disk.", _OPERATOR),
    "57014": Trouble("It took the database longer than it may.", _SOON + _TELL),
    "40": Trouble("Somebody else was writing the same records at this moment.", _AGAIN),
    "42": Trouble("The tables are not those of this version: an update may be under way.", _SOON + _TELL),
    "53": Trouble("The database takes no more work at present.", _SOON + _TELL),
    "55": Trouble("Somebody else is writing at this moment, and was not done in time.", _AGAIN + _TELL),
    "57": Trouble("The database is being stopped or started.", _SOON + _TELL),
}
_AWAY = Trouble("The database does not answer.", _SOON + _TELL)
_BUSY = Trouble("All connections to the database are in use.", _SOON + _TELL)
_NOT_CONFIRMED = Trouble(
    "The database stopped answering when it was to be saved.",
    "Wait a minute, go back and reload to see whether it was saved; if it was not, try again.",
    is_undone=False,
)


def trouble(error: BaseException) -> Trouble:
    """What `error` means, which is one that `database_is_away` is true of."""
    if isinstance(error, CommitInDoubt):
        return _NOT_CONFIRMED
    if isinstance(error, NoneFree):
        return _BUSY
    state = sqlstate(error)
    return next((words for begins, words in _KNOWN.items() if state.startswith(begins)), _AWAY)
