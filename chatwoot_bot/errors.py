"""Every exception this service raises on purpose.

    ChatwootBotError
    ├── SettingsError          the environment is wrong; start-up refuses
    ├── RequestError           the caller of our HTTP API is at fault
    │   ├── SignatureError         401
    │   ├── PayloadError           400
    │   ├── ValidationError        422, with the fields
    │   ├── AccessError            401 or 403
    │   ├── NotFoundError          404
    │   ├── ConflictError          409
    │   ├── BodyTooLargeError      413
    │   └── BusyError              429
    │       └── PaceError          429
    ├── StoreError             the database failed or refused
    │   └── LeaseLostError         another process has the conversation now
    ├── ChatwootError          Chatwoot refused, or did not answer
    ├── BookingError           a call cannot be booked, moved or cancelled
    ├── PartDiedError          a background task ended by a bug; the process ends too
    ├── MediaError             an attachment cannot be fetched or read
    ├── KnowledgeError         a document cannot be fetched or read
    │   └── EmbeddingsError        the embeddings server returned no vectors
    └── ResponderError         the model refused, or did not answer
        └── DeclinedError          the model refuses this question

Few places read the attributes: `web/errors.py` turns `status_code` and `code`
into a response; the clients and the outbox turn `retryable` into a new attempt.
No message contains a secret or a contact's text.
"""

import traceback
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class ChatwootBotError(Exception):
    """Base of every deliberate failure; catching it never hides a bug."""

    retryable = False


class SettingsError(ChatwootBotError):
    """Settings are missing or malformed; `problems` names each variable.

    Attributes:
        problems: variable → the problem and its fix, in reading order.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        lines = [f"  {name}: {problem}" for name, problem in self.problems.items()]
        super().__init__("invalid settings:\n" + "\n".join(lines))


class PartDiedError(ChatwootBotError):
    """A task that must run as long as the service has ended; see the log for why."""


class RequestError(ChatwootBotError):
    """A request cannot be served; `code` and the message go to the caller."""

    status_code = 400
    code = "bad_request"


class SignatureError(RequestError):
    """The delivery is unsigned, wrongly signed, or outside the time window.

    The message is for the log only: every caller gets the same response.
    """

    status_code = 401
    code = "unauthorized"


class PayloadError(RequestError):
    """The body is not JSON, not an object, or a field has the wrong type."""

    code = "invalid_payload"


class ValidationError(RequestError):
    """A REST body is JSON but does not match the endpoint's model.

    Attributes:
        fields: field → its problem.
    """

    status_code = 422
    code = "validation_failed"

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("Some fields are missing or invalid.")
        self.fields = dict(fields)


class AccessError(RequestError):
    """The caller may not do this: 401 without valid credentials, 403 with them."""

    code = "forbidden"

    def __init__(self, message: str, *, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code
        if status_code == 401:
            self.code = "unauthorized"


class NotFoundError(RequestError):
    """The object named in the path or the body does not exist."""

    status_code = 404
    code = "not_found"


class ConflictError(RequestError):
    """The object exists, but its state does not allow the request."""

    status_code = 409
    code = "conflict"


class BodyTooLargeError(RequestError):
    """The body is longer than `MAX_BODY_BYTES`."""

    status_code = 413
    code = "body_too_large"


class BusyError(RequestError):
    """Too many events wait to be stored; Chatwoot retries an agent bot's on 429."""

    status_code = 429
    code = "busy"


class PaceError(BusyError):
    """The caller exceeds a rate limit.

    Attributes:
        retry_after_s: seconds until the next request is allowed.
    """

    code = "too_fast"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreError(ChatwootBotError):
    """The database failed; the transaction was rolled back."""

    retryable = True


class LeaseLostError(StoreError):
    """Another worker holds the lease now; this worker must not write or send."""

    retryable = False


class ChatwootError(ChatwootBotError):
    """A call to Chatwoot's API failed.

    Attributes:
        status_code: the HTTP status, or None when no answer came.
        retryable: False only when Chatwoot itself has refused for good. An answer
            of a proxy or a sign-in page, or no answer, is an outage.
        in_doubt: True when Chatwoot may have acted on the request nevertheless.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None,
        in_doubt: bool = False,
        final: bool = False,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.retryable = not final
        self.in_doubt = in_doubt

    @property
    def is_gone(self) -> bool:
        """Whether Chatwoot says that the conversation does not exist."""
        return self.status_code == 404 and not self.retryable


class Problem(StrEnum):
    """Why a call cannot be booked, moved or cancelled."""

    TAKEN = "taken"  # the time is not free, or not offered
    TOO_MANY = "too_many"  # the contact has reached the limit of calls
    UNKNOWN = "unknown"  # the contact has no such call
    CONTACT = "contact"  # the calendar does not accept their address or number
    UNSURE = "unsure"  # the calendar did not confirm whether it was done
    UNAVAILABLE = "unavailable"  # the calendar does not answer, or refuses us


class BookingError(ChatwootBotError):
    """A call cannot be booked, moved or cancelled.

    Attributes:
        problem: the reason.
        retryable: True when the same request may succeed a moment later, and has
            certainly had no effect.
    """

    def __init__(
        self, message: str, *, problem: Problem, retryable: bool = False
    ) -> None:
        super().__init__(message)
        self.problem = problem
        self.retryable = retryable


class MediaError(ChatwootBotError):
    """An attachment cannot be fetched or read.

    The message ends a sentence that the model reads: "not readable because …".

    Attributes:
        retryable: True when a later turn may try again.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class KnowledgeError(ChatwootBotError):
    """A document or its folder or site cannot be fetched or read."""


class EmbeddingsError(KnowledgeError):
    """The embeddings server returned no vectors.

    Attributes:
        too_much: True when fewer texts at once may help.
    """

    def __init__(self, message: str, *, too_much: bool = False) -> None:
        super().__init__(message)
        self.too_much = too_much


class ResponderError(ChatwootBotError):
    """The model gave no usable answer.

    Attributes:
        retryable: True when the same question may succeed a moment later.
        kind: one word for `/health/ready`: an HTTP status or another kind.
        finish_reason: as the server reports it, if it does.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool,
        kind: str = "failed",
        finish_reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.kind = kind
        self.finish_reason = finish_reason


class DeclinedError(ResponderError):
    """The model, or its server's filter, refuses this question; no outage.

    Attributes:
        reason: for the handover.
    """

    def __init__(self, reason: str, *, finish_reason: str | None = None) -> None:
        super().__init__(
            "the model refused to answer",
            retryable=False,
            kind="declined",
            finish_reason=finish_reason,
        )
        self.reason = reason


def unexpected(error: Exception) -> dict[str, str]:
    """Return the log fields of an unexpected error, without its message.

    The message may contain text of a contact or of another server.
    """
    frames = traceback.extract_tb(error.__traceback__)
    last = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__name__, "at": last}
