"""A database in which the service has worked for three months.

    messages       i = 1 … stored; a contact's and the bot's in turn
    conversations  k = 1 … 3/10 of stored; message i is in (i - 1) % conversations + 1,
                   so a third of them has four messages and the others have three
    deliveries     one per message; a contact's with its body of about 3 kB
    turns          one per contact's message
    replies        one per bot's message

Keys are spread as random ones are. Chatwoot's numbers of messages and conversations
lie in 1 … stored. A 150th of the conversations waits for Chatwoot: each has an open
reply and owes the contact an answer. They are due in an hour at the earliest, so no
run gets to them; on PostgreSQL every fourth of them is leased.
"""

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from bench import load
from chatwoot_bot.store.conversations import new_id
from chatwoot_bot.store.engine import make_engine, normal_url
from chatwoot_bot.store.migrations import upgrade
from chatwoot_bot.store.schema import conversations

SPAN_S = 90 * 86_400.0
# Of those with three messages, which are two thirds.
WAITING_EVERY = 100
QUESTION = "where is my order, please? " + "It is late. " * 7
ANSWER = "It is on its way and will be with you tomorrow before noon."


def fill(url: str, stored: int) -> None:
    """Store *stored* messages and all that belongs to them, in an empty database."""
    engine = make_engine(sa.make_url(normal_url(url)), writes=True)
    upgrade(engine)
    engine.dispose()
    with _bulk(url) as tx:
        rows = Rows(stored, tx.dialect.name)
        values = {
            "stored": stored,
            "conversations": rows.count,
            "now": time.time(),
            "span": SPAN_S,
            "body": load.message(stored, rows.count),
        }
        if rows.dialect == "sqlite":
            # What is lost is filled again.
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-500000"):
                tx.execute(sa.text(f"PRAGMA {pragma}"))
        for statement in (
            rows.conversations(),
            rows.messages(),
            rows.deliveries(),
            rows.turns(),
            rows.replies(),
            rows.open_replies(),
            rows.service(),
        ):
            tx.execute(sa.text(statement), values)


def settle(url: str) -> None:
    """Have done now what the database or the system would do in its own time."""
    parts = sa.make_url(normal_url(url))
    if parts.get_backend_name() == "sqlite":
        with open(str(parts.database), "rb") as file:
            os.fsync(file.fileno())
        return
    with _bulk(url) as tx:
        tx.execute(sa.text("VACUUM (ANALYZE)"))
        with contextlib.suppress(sa.exc.ProgrammingError):  # not everybody may
            tx.execute(sa.text("CHECKPOINT"))


def make_due(tx: sa.Connection, count: int, *, now: float) -> list[str]:
    """Make *count* conversations that are due since *now*; return their ids."""
    ids = [new_id() for _ in range(count)]
    rows = [
        {
            "id": one,
            "channel": "web",
            "state": "ai",
            "due_at": now,
            "created_at": now,
            "active_at": now,
        }
        for one in ids
    ]
    tx.execute(sa.insert(conversations), rows)
    return ids


def make_due_again(tx: sa.Connection, ids: Collection[str], *, now: float) -> None:
    """Give the conversations *ids* back, at the end of the queue."""
    tx.execute(
        sa.update(conversations)
        .where(conversations.c.id.in_(ids))
        .values(lease=None, due_at=now, attempts=0)
    )


def remove(tx: sa.Connection, ids: Collection[str]) -> None:
    """Delete what `make_due` made."""
    tx.execute(sa.delete(conversations).where(conversations.c.id.in_(ids)))


@contextlib.contextmanager
def _bulk(url: str) -> Iterator[sa.Connection]:
    """Yield a connection that commits each statement."""
    engine = sa.create_engine(normal_url(url), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as tx:
            yield tx
    finally:
        engine.dispose()


@dataclass(frozen=True)
class Rows:
    """The rows of each table, as an INSERT that makes them in the database.

    The statements' own values are `:stored`, `:conversations` (how many), `:now`,
    `:span` (both in seconds) and `:body`.

    Attributes:
        stored: messages.
        dialect: "sqlite" or "postgresql".
    """

    stored: int
    dialect: str

    @property
    def count(self) -> int:
        """How many conversations."""
        return self.stored * 3 // 10

    @property
    def longer(self) -> int:
        """How many of them, the first ones, have a fourth message."""
        return self.stored - 3 * self.count

    @property
    def k(self) -> str:
        """SQL: the conversation of message i."""
        return f"((i - 1) % {self.count} + 1)"

    @property
    def place(self) -> str:
        """SQL: the place of message i in its conversation, 0 to 3."""
        return f"((i - 1) / {self.count})"

    @property
    def asks(self) -> str:
        """SQL: whether message i is the contact's."""
        return f"({self.place} % 2 = 0)"

    @property
    def owed(self) -> str:
        """SQL: whether message i waits for its answer."""
        return f"({self.place} = 2 AND {self.waits(self.k)})"

    def waits(self, k: str) -> str:
        """SQL: whether conversation k waits for Chatwoot."""
        return f"({k} % {WAITING_EVERY} = 0 AND {k} > {self.longer})"

    def written(self, i: str) -> str:
        """SQL: when message i was written, in Unix seconds."""
        age = f"1.0 - CAST({i} AS DOUBLE PRECISION) / {self.stored}"
        return f":now - :span * ({age})"

    def last_written(self, k: str) -> str:
        """SQL: when the last message of conversation k was written."""
        place = f"CASE WHEN {k} <= {self.longer} THEN 3 ELSE 2 END"
        return self.written(f"({place} * {self.count} + {k})")

    def conversation(self, k: str) -> str:
        """SQL: the id of conversation k."""
        return f"'c_' || {self.hex16(k)}"

    def turn(self, i: str) -> str:
        """SQL: the id of the turn that answers message i."""
        return f"'t_' || {self.hex16(i)}"

    def hex16(self, number: str) -> str:
        """SQL: 16 hex digits, scattered, of a number below 2**32."""
        parts = [f"({number}) * {odd} % 4294967296" for odd in (2654435761, 2246822519)]
        if self.dialect == "sqlite":
            return f"printf('%08x%08x', {', '.join(parts)})"
        return " || ".join(f"lpad(to_hex({part}), 8, '0')" for part in parts)

    def numbers(self, last: str) -> str:
        """SQL: a table n of the numbers i from 1 to the value named *last*."""
        return (
            "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) "
            f"UNION ALL SELECT i + 1 FROM n WHERE i < :{last})"
        )

    def conversations(self) -> str:
        # On SQLite the service ends all leases when it starts.
        leased = "i % 400 = 0" if self.dialect == "postgresql" else "FALSE"
        waits = self.waits("i")
        return f"""
            INSERT INTO conversations (id, channel, account_id, inbox_id, display_id,
                contact_name, state, status, status_at, ever_pending, version,
                bot_turns, owed_since, due_at, lease, created_at, active_at)
            {self.numbers("conversations")}
            SELECT {self.conversation("i")}, 'chatwoot', 1, i % 5 + 1, i,
                'contact-' || i,
                CASE WHEN i % 10 = 9 THEN 'human' ELSE 'ai' END,
                CASE WHEN i % 10 = 9 THEN 'open' WHEN i % 10 < 2 THEN 'pending'
                    ELSE 'resolved' END,
                {self.written("i")}, TRUE, 2, 1,
                CASE WHEN {waits} THEN {self.last_written("i")} END,
                CASE WHEN {waits} THEN :now + 3600 + i % 3600 END,
                CASE WHEN {waits} AND {leased} THEN 'bench:' || i END,
                {self.written("i")}, {self.last_written("i")}
            FROM n"""

    def messages(self) -> str:
        return f"""
            INSERT INTO messages (conversation_id, account_id, external_id, sender,
                content, owed, turn_id, created_at)
            {self.numbers("stored")}
            SELECT {self.conversation(self.k)}, 1, i,
                CASE WHEN {self.asks} THEN 'user' ELSE 'ai' END,
                CASE WHEN {self.asks} THEN 'Message ' || i || ', {QUESTION}'
                    ELSE '{ANSWER}' END,
                {self.owed},
                CASE WHEN {self.owed} THEN NULL WHEN {self.asks} THEN {self.turn("i")}
                    ELSE {self.turn(f"i - {self.count}")} END,
                {self.written("i")}
            FROM n"""

    def deliveries(self) -> str:
        kind = "BLOB" if self.dialect == "sqlite" else "BYTEA"
        return f"""
            INSERT INTO deliveries (delivery_id, outcome, reason, body, received_at)
            {self.numbers("stored")}
            SELECT {self.hex16("i")} || '-' || {self.hex16(f"i + {self.stored}")},
                CASE WHEN i % 5000 = 0 THEN 'quarantined'
                    WHEN {self.asks} THEN 'accepted' ELSE 'ignored' END,
                CASE WHEN {self.asks} THEN '' ELSE 'bot' END,
                CASE WHEN {self.asks} THEN CAST(:body AS {kind}) END,
                {self.written("i")}
            FROM n"""

    def turns(self) -> str:
        return f"""
            INSERT INTO turns (id, conversation_id, decision, reason, model, tokens,
                outcome, latency_ms, created_at)
            {self.numbers("stored")}
            SELECT {self.turn("i")}, {self.conversation(self.k)}, 'bot', 'default',
                'gpt-4o-mini', 400, 'kept', 900, {self.written("i")}
            FROM n WHERE {self.asks} AND NOT {self.owed}"""

    def replies(self) -> str:
        asked = f"i - {self.count}"
        return f"""
            INSERT INTO replies (key, conversation_id, turn_id, position, kind, content,
                state, attempts, attempted_at, after_external_id, external_id,
                created_at)
            {self.numbers("stored")}
            SELECT {self.turn(asked)} || '.0', {self.conversation(self.k)},
                {self.turn(asked)}, 0, 'answer', '{ANSWER}',
                CASE WHEN i % 5000 = 0 THEN 'dead' ELSE 'delivered' END,
                1, {self.written("i")}, {asked}, i, {self.written("i")}
            FROM n WHERE NOT {self.asks}"""

    def open_replies(self) -> str:
        turn = self.turn(f"i + {self.stored}")
        return f"""
            INSERT INTO replies (key, conversation_id, turn_id, position, kind, content,
                state, attempts, attempted_at, after_external_id, error, created_at)
            {self.numbers("conversations")}
            SELECT {turn} || '.0', {self.conversation("i")}, {turn}, 0, 'answer',
                '{ANSWER}', 'open', 5, :now - 60, i, 'Chatwoot answered 503',
                {self.last_written("i")}
            FROM n WHERE {self.waits("i")}"""

    def service(self) -> str:
        return """
            INSERT INTO service (name, value)
            VALUES ('first_start', CAST(:now - :span AS TEXT))"""
