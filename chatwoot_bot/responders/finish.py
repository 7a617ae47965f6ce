"""How an answer of a model ended, and what that makes of it."""

from ..errors import DeclinedError, ResponderError

# Characters of a reason; servers invent their own.
MAX_REASON = 32
# The values of `finish_reason`, in lower case, as servers have them.
LENGTH = {"length", "max_tokens", "max_output_tokens", "model_length"}
FILTERED = {
    *("content_filter", "content_filtered", "safety", "recitation", "refusal"),
    *("prohibited_content", "blocklist", "spii", "sensitive"),
}
BROKEN = {
    *("error", "abort", "aborted", "cancelled", "network_error"),
    *("malformed_function_call", "insufficient_system_resource"),
}
# What Azure and others call a question that they will not answer, by a 400.
FILTER_CODES = {"content_filter", "content_policy_violation", "data_inspection_failed"}

# Of `Decision`.
WITHHELD, REFUSED = "guardrail", "model_refused"


def check_finish(reason: str | None, *, is_done: bool, refuses: bool) -> None:
    """Refuse an answer that is none because of how it ended.

    Args:
        reason: the server's `finish_reason`.
        is_done: the stream has come to its end.
        refuses: the model has written a refusal.

    Raises:
        DeclinedError: the model, or its server, will not answer this.
        ResponderError: it broke off; the same question may succeed.
    """
    if refuses:
        raise DeclinedError(REFUSED, finish_reason=reason)
    if reason in FILTERED:
        raise DeclinedError(WITHHELD, finish_reason=reason)
    if reason in BROKEN or (reason is None and not is_done):
        raise ResponderError(
            "the model's answer broke off",
            retryable=True,
            kind="broken_off",
            finish_reason=reason,
        )


def reason_of(value: object) -> str | None:
    """Return a server's `finish_reason`, bounded; None for none."""
    return value[:MAX_REASON].lower() if isinstance(value, str) and value else None


def is_filtered(code: object) -> bool:
    """Return whether a refused request was refused for what it is about."""
    return code in FILTER_CODES
