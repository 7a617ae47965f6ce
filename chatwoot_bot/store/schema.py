"""The tables. One schema for SQLite and PostgreSQL; times are Unix seconds, UTC.

A conversation is the unit of work. `due_at` is the only queue there is: it says
when somebody should look at the conversation, be it to answer, to try a delivery
again, or (while `lease` is set) because its worker has died.

A change here needs a migration; a test compares the two.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

# SQLite numbers rows by itself only in a column declared INTEGER.
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("inbox_id", sa.BigInteger),
    sa.Column("display_id", sa.BigInteger),
    sa.Column("chatwoot_channel", sa.Text),
    sa.Column("can_reply", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("user_id", sa.Text),
    # Whose browser began it; a name that anybody may choose proves nothing.
    sa.Column("visitor", sa.Text),
    sa.Column("contact_name", sa.Text),
    # Who writes, and from where: the same in all conversations of one contact in one
    # inbox. A digest, see `events.contact_key`; in the web chat the `visitor`.
    sa.Column("contact", sa.Text),
    # JSON: an object of the attributes that CONTACT_ATTRIBUTES names.
    sa.Column("attributes", sa.Text, nullable=False, server_default=""),
    # What was said up to and with the message `summary_until`, in short.
    sa.Column("summary", sa.Text),
    sa.Column("summary_until", sa.BigInteger),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("status", sa.Text),
    sa.Column("status_at", sa.Double, nullable=False, server_default="0"),
    sa.Column("held_at", sa.Double, nullable=False, server_default="0"),
    sa.Column("closed_at", sa.Double, nullable=False, server_default="0"),
    sa.Column("began_pending", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("ever_pending", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("agent_replied", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("wanted_status", sa.Text),
    sa.Column("told_status", sa.Text),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("restarts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("bot_turns", sa.Integer, nullable=False, server_default="0"),
    # What the model has cost since a human or a resolve.
    sa.Column("spent", sa.Double, nullable=False, server_default="0"),
    sa.Column("switch", sa.Text),
    sa.Column("switch_at", sa.Double, nullable=False, server_default="0"),
    sa.Column("hushed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("marks", sa.Text, nullable=False, server_default=""),
    sa.Column("released", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("touched", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("stranded_at", sa.Double),
    sa.Column("owed_since", sa.Double),
    sa.Column("due_at", sa.Double),
    sa.Column("lease", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("active_at", sa.Double, nullable=False),
    # The number first: operators name conversations by it alone.
    sa.UniqueConstraint("display_id", "account_id"),
)
# Partial, so that a million finished conversations cost a claim nothing.
sa.Index(
    "ix_conversations_due",
    conversations.c.due_at,
    sqlite_where=conversations.c.due_at.is_not(None),
    postgresql_where=conversations.c.due_at.is_not(None),
)
sa.Index(
    "ix_conversations_lease",
    conversations.c.lease,
    sqlite_where=conversations.c.lease.is_not(None),
    postgresql_where=conversations.c.lease.is_not(None),
)
sa.Index(
    "ix_conversations_stranded",
    conversations.c.stranded_at,
    sqlite_where=conversations.c.stranded_at.is_not(None),
    postgresql_where=conversations.c.stranded_at.is_not(None),
)
# For the watchdog.
sa.Index(
    "ix_conversations_owed",
    conversations.c.owed_since,
    sqlite_where=conversations.c.owed_since.is_not(None),
    postgresql_where=conversations.c.owed_since.is_not(None),
)
# How an inbox's newest conversations began tells whether an agent bot serves it.
sa.Index("ix_conversations_inbox", conversations.c.inbox_id, conversations.c.created_at)
# The console's list, newest first; humans' conversations are few among many.
sa.Index("ix_conversations_active", conversations.c.active_at, conversations.c.id)
sa.Index(
    "ix_conversations_held",
    conversations.c.active_at,
    sqlite_where=sa.text("state <> 'ai'"),
    postgresql_where=sa.text("state <> 'ai'"),
)
sa.Index(
    "ix_conversations_user",
    conversations.c.user_id,
    sqlite_where=conversations.c.user_id.is_not(None),
    postgresql_where=conversations.c.user_id.is_not(None),
)

sa.Index(
    "ix_conversations_contact",
    conversations.c.contact,
    conversations.c.active_at,
    sqlite_where=conversations.c.contact.is_not(None),
    postgresql_where=conversations.c.contact.is_not(None),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("account_id", sa.BigInteger),
    sa.Column("external_id", sa.BigInteger),
    sa.Column("client_id", sa.Text),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("content", sa.Text),
    # JSON: a list of objects, see `core.conversation.Attachment`.
    sa.Column("attachments", sa.Text),
    # JSON: what the contact may choose from; see `replies.options`.
    sa.Column("options", sa.Text),
    sa.Column("owed", sa.Boolean, nullable=False, server_default=sa.false()),
    # Since when, if an agent asked for another answer; otherwise since created_at.
    sa.Column("owed_at", sa.Double),
    # The conversation was resolved after this message.
    sa.Column("closes", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("turn_id", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("edited_at", sa.Double),
    sa.Column("deleted_at", sa.Double),
    sa.UniqueConstraint("account_id", "external_id"),
)
# Partial, or each of Chatwoot's messages, which have none, would cost a write here.
sa.Index(
    "ix_messages_client",
    messages.c.conversation_id,
    messages.c.client_id,
    unique=True,
    sqlite_where=messages.c.client_id.is_not(None),
    postgresql_where=messages.c.client_id.is_not(None),
)
sa.Index("ix_messages_conversation", messages.c.conversation_id, messages.c.id)
sa.Index(
    "ix_messages_owed",
    messages.c.conversation_id,
    sqlite_where=sa.text("owed = 1"),
    postgresql_where=sa.text("owed"),
)
sa.Index(
    "ix_messages_changed",
    messages.c.conversation_id,
    sqlite_where=sa.text("edited_at IS NOT NULL OR deleted_at IS NOT NULL"),
    postgresql_where=sa.text("edited_at IS NOT NULL OR deleted_at IS NOT NULL"),
)

# Who held a conversation since when, and why: for agents, and for the figures.
state_changes = sa.Table(
    "state_changes",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # The rule; `detail` is what a visitor gave as their reason.
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
)
sa.Index(
    "ix_state_changes_conversation",
    state_changes.c.conversation_id,
    state_changes.c.id,
)

# Which visitors have a socket open, in which process; `seen_at` is its heartbeat.
presence = sa.Table(
    "presence",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    # See `conversations.visitor`; empty for one without.
    sa.Column("visitor", sa.Text, primary_key=True),
    sa.Column("process", sa.Text, primary_key=True),
    sa.Column("connections", sa.Integer, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
)
sa.Index(
    "ix_presence_online",
    presence.c.process,
    sqlite_where=sa.text("connections > 0"),
    postgresql_where=sa.text("connections > 0"),
)
sa.Index("ix_presence_seen", presence.c.seen_at)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("delivery_id", sa.Text, unique=True),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary),
    sa.Column("received_at", sa.Double, nullable=False),
)
sa.Index(
    "ix_deliveries_quarantined",
    deliveries.c.id,
    sqlite_where=sa.text("outcome = 'quarantined'"),
    postgresql_where=sa.text("outcome = 'quarantined'"),
)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("conversation_id", sa.Text, nullable=False, index=True),
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("tokens", sa.Integer),
    # The model's server did not count them, at least not all.
    sa.Column("estimated", sa.Boolean, nullable=False, server_default=sa.false()),
    # In the currency of the price list; NULL where that knows no price.
    sa.Column("cost", sa.Double),
    # JSON: lists of what the model called, and of what it read.
    sa.Column("tools", sa.Text),
    sa.Column("sources", sa.Text),
    # What the bot was about to say when it was overtaken.
    sa.Column("draft", sa.Text),
    # How the model's server says that its answer ended, such as `length`.
    sa.Column("finish_reason", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("latency_ms", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
)

replies = sa.Table(
    "replies",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("turn_id", sa.Text, nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    # JSON: a list of {"title", "value"} that the contact may choose from.
    sa.Column("options", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempted_at", sa.Double, nullable=False, server_default="0"),
    sa.Column("in_doubt_until", sa.Double),
    sa.Column("after_external_id", sa.BigInteger),
    sa.Column("external_id", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.Double, nullable=False),
)
sa.Index(
    "ix_replies_dead",
    replies.c.created_at,
    sqlite_where=sa.text("state = 'dead'"),
    postgresql_where=sa.text("state = 'dead'"),
)
sa.Index(
    "ix_replies_open",
    replies.c.conversation_id,
    sqlite_where=sa.text("state = 'open'"),
    postgresql_where=sa.text("state = 'open'"),
)
# What the model has taken on each day, UTC (``2026-11-21``); the sum of a day's rows.
spending = sa.Table(
    "spending",
    metadata,
    sa.Column("day", sa.Text, primary_key=True),
    # Several rows for a day, so that turns do not wait for one another.
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Double, nullable=False),
)
# What tools have changed in the world; written before it happens.
effects = sa.Table(
    "effects",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("turn_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    # JSON: an object.
    sa.Column("arguments", sa.Text, nullable=False),
    # JSON, see `effects.Entry`; NULL until it is known.
    sa.Column("result", sa.Text),
    # An answer has been kept since, or nobody will write one any more.
    sa.Column("settled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", sa.Double, nullable=False),
)
sa.Index(
    "ix_effects_unsettled",
    effects.c.conversation_id,
    sqlite_where=sa.text("settled = 0"),
    postgresql_where=sa.text("NOT settled"),
)
# Calls that the bot has booked, in our own calendar or in Cal.com's.
bookings = sa.Table(
    "bookings",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    # Of the call of the tool; the same one books once.
    sa.Column("key", sa.Text, nullable=False, unique=True),
    # Part of the address of its .ics file, and the only thing that opens it.
    sa.Column("token", sa.Text, nullable=False, unique=True),
    sa.Column("conversation_id", sa.Text, nullable=False, index=True),
    sa.Column("calendar", sa.Text, nullable=False),
    # Cal.com's; None in our own calendar, and while nobody knows.
    sa.Column("external_id", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("starts_at", sa.Double, nullable=False),
    sa.Column("ends_at", sa.Double, nullable=False),
    sa.Column("time_zone", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("topic", sa.Text),
    # How often it has changed; calendars take the newest.
    sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
)
# In our own calendars a time is given away once. Cal.com has its own rule for those it
# keeps, where several hosts may take calls at the same time.
sa.Index(
    "ix_bookings_taken",
    bookings.c.calendar,
    bookings.c.starts_at,
    unique=True,
    sqlite_where=sa.text("state = 'booked' AND external_id IS NULL"),
    postgresql_where=sa.text("state = 'booked' AND external_id IS NULL"),
)
sa.Index("ix_bookings_starts", bookings.c.starts_at, bookings.c.id)

# What graphs of the operator's remember, see `checkpoints`.
graph_runs = sa.Table(
    "graph_runs",
    metadata,
    # The turn's.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("conversation_id", sa.Text, nullable=False, index=True),
    sa.Column("thread_id", sa.Text, nullable=False),
    # The newest message that the graph has been told of.
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("finished", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", sa.Double, nullable=False),
)
graph_checkpoints = sa.Table(
    "graph_checkpoints",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("ns", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("parent_id", sa.Text),
    # In which form the content is written; LangGraph's.
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
graph_writes = sa.Table(
    "graph_writes",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("ns", sa.Text, primary_key=True),
    sa.Column("checkpoint_id", sa.Text, primary_key=True),
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
# Literals: SQLite uses a partial index only for a condition that it can see.
IS_OPEN = replies.c.state == sa.literal_column("'open'")
IS_HELD = conversations.c.state != sa.literal_column("'ai'")
HAS_CHANGED = messages.c.edited_at.is_not(None) | messages.c.deleted_at.is_not(None)
IS_ONLINE = presence.c.connections > sa.literal_column("0")
IS_DEAD = replies.c.state == sa.literal_column("'dead'")
IS_OURS = (bookings.c.state == sa.literal_column("'booked'")) & (
    bookings.c.external_id.is_(None)
)
IS_QUARANTINED = deliveries.c.outcome == sa.literal_column("'quarantined'")

service = sa.Table(
    "service",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

# Sessions of the console that were signed out of; their cookies are still good until
# they expire.
ended_sessions = sa.Table(
    "ended_sessions",
    metadata,
    # The cookie's, never the cookie itself.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("expires_at", sa.Double, nullable=False),
)

# What the bot knows. Each database has an index of its own kind beside these tables;
# see `knowledge_index.py`.
INDEX = "knowledge_index"

knowledge_documents = sa.Table(
    "knowledge_documents",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("url", sa.Text),
    sa.Column("language", sa.Text, nullable=False),
    # Of content and reading; null while a part of the document is missing.
    sa.Column("digest", sa.Text),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("added_at", sa.Double, nullable=False),
    sa.UniqueConstraint("collection", "uri"),
)
# All that a search asks of it.
sa.Index(
    "ix_knowledge_documents_languages",
    knowledge_documents.c.collection,
    knowledge_documents.c.language,
    knowledge_documents.c.chunks,
)

knowledge_chunks = sa.Table(
    "knowledge_chunks",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("document_id", sa.BigInteger, nullable=False),
    # The document's; a search reads it for everything that it finds.
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # Terms of our own making, with spaces between them.
    sa.Column("title_terms", sa.Text, nullable=False),
    sa.Column("heading_terms", sa.Text, nullable=False),
    sa.Column("text_terms", sa.Text, nullable=False),
    sa.Column("heading", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.UniqueConstraint("document_id", "position"),
    # Never a number twice: what is remembered of a chunk must not be said of another.
    sqlite_autoincrement=True,
)

knowledge_vectors = sa.Table(
    "knowledge_vectors",
    metadata,
    sa.Column("chunk_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("model", sa.Text, nullable=False),
    # As float32, little-endian, of length 1.
    sa.Column("numbers", sa.LargeBinary, nullable=False),
)
sa.Index(
    "ix_knowledge_vectors_model",
    knowledge_vectors.c.model,
    knowledge_vectors.c.chunk_id,
)

# A bit for each number of a vector; apart from these, because all are read at once.
knowledge_signs = sa.Table(
    "knowledge_signs",
    metadata,
    sa.Column("chunk_id", BigId, primary_key=True, autoincrement=False),
    sa.Column("model", sa.Text, nullable=False),
    # The row of `knowledge_means` that the signs are about; null is about 0.
    sa.Column("mean_id", BigId),
    sa.Column("bits", sa.LargeBinary, nullable=False),
)
sa.Index(
    "ix_knowledge_signs_model", knowledge_signs.c.model, knowledge_signs.c.chunk_id
)

# Of the vectors of a collection: a new row replaces the old one once all signs are
# about it, so that a search always knows what it compares.
knowledge_means = sa.Table(
    "knowledge_means",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    # As float32, little-endian.
    sa.Column("numbers", sa.LargeBinary, nullable=False),
    # How many it was taken of.
    sa.Column("vectors", sa.Integer, nullable=False),
    # Never a number twice: signs must not be taken for those about another mean.
    sqlite_autoincrement=True,
)

unanswered_questions = sa.Table(
    "unanswered_questions",
    metadata,
    sa.Column("collection", sa.Text, primary_key=True),
    # The question without case and punctuation: asked again, it is counted.
    sa.Column("folded", sa.Text, primary_key=True),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("conversation_id", sa.Text, nullable=False),
    sa.Column("asked_at", sa.Double, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
)
