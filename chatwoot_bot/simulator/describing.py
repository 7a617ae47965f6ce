"""What a simulator has seen, for the text of a TimeoutError."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .server import Simulator


def describe_replies(
    sim: "Simulator", conversation: int, count: int, timeout: float
) -> str:
    """Return how far a conversation is from the replies that were waited for."""
    found = len(sim.replies(conversation))
    return (
        f"conversation {conversation} has {found} of {count} replies, status "
        f"{sim.status(conversation)}; {describe(sim, timeout)}"
    )


def describe(sim: "Simulator", timeout: float) -> str:
    """Return the newest things seen."""
    attempts = [
        f"{each.event} #{each.conversation_id}: {each.status or each.error}"
        f" {each.body[:120]}"
        for each in sim.delivery_log[-5:]
    ]
    calls = [f"{each.method} {each.path}: {each.status}" for each in sim.calls[-5:]]
    return (
        f"nothing more for {timeout} s; {sim.under_way} deliveries "
        f"under way; last deliveries: {attempts or 'none'}; "
        f"last calls: {calls or 'none'}"
    )
