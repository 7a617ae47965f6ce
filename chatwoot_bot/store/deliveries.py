"""Deliveries as they came: what was seen before, and what was not understood."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from .conversations import insert_new
from .schema import deliveries


class Outcome(StrEnum):
    """What became of an arrival."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    QUARANTINED = "quarantined"
    REPLAYED = "replayed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One HTTP request from Chatwoot.

    Attributes:
        delivery_id: header ``X-Chatwoot-Delivery``; None before 4.13.
        body: as received, for replay; None when nothing would come of it.
        received_at: Unix seconds.
    """

    delivery_id: str | None
    outcome: Outcome
    reason: str
    body: bytes | None
    received_at: float


def remember(tx: sa.Connection, arrived: Sequence[Delivery]) -> list[bool]:
    """Keep deliveries; return for each whether it has not been seen before."""
    kept = [d for d in arrived if d.delivery_id is not None or d.body is not None]
    new: set[str] = set()
    if kept:
        insert = insert_new(deliveries, tx.dialect.name, returning="delivery_id")
        # In one order everywhere, so that two processes never wait for each other.
        rows = sorted(map(_row, kept), key=lambda row: row["delivery_id"] or "")
        new = set(tx.execute(insert, rows).scalars())
    return [_is_new(delivery, new) for delivery in arrived]


def _row(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "outcome": delivery.outcome,
        "reason": delivery.reason,
        "body": delivery.body,
        "received_at": delivery.received_at,
    }


def _is_new(delivery: Delivery, new: set[str]) -> bool:
    if delivery.delivery_id is None:
        return True
    first = delivery.delivery_id in new
    new.discard(delivery.delivery_id)  # the second one of the same group is a repeat
    return first


def quarantine(tx: sa.Connection, delivery: Delivery) -> bool:
    """Keep a delivery that cannot be understood; False when it is kept already."""
    return remember(tx, [delivery])[0]
