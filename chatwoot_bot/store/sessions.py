"""Sessions of the console that were ended before their cookies expire."""

import sqlalchemy as sa

from .conversations import insert_new
from .schema import ended_sessions


def end(tx: sa.Connection, session_id: str, *, now: float, expires_at: float) -> None:
    """End a session, and forget those whose cookies have expired.

    Args:
        now: Unix seconds.
        expires_at: when its cookie has expired for certain, Unix seconds.
    """
    tx.execute(sa.delete(ended_sessions).where(ended_sessions.c.expires_at < now))
    ended = {"id": session_id, "expires_at": expires_at}
    tx.execute(insert_new(ended_sessions, tx.dialect.name), ended)


def has_ended(tx: sa.Connection, session_id: str) -> bool:
    """Return whether somebody has signed out of the session."""
    return tx.execute(_FIND, {"session": session_id}).scalar() is not None


_FIND = sa.select(ended_sessions.c.id).where(
    ended_sessions.c.id == sa.bindparam("session")
)
