/**
 * What a chat page knows about its messages, and how each event changes it.
 * Pure: no DOM, no network, no clock, so `node --test` covers it.
 *
 * A message has the server's `id` (null until confirmed) and our `clientId`, which
 * the server stores once; its `delivery` is sending, waiting (for the connection),
 * failed, streaming or sent; `sentAt` is our clock in ms; `afterId`, of a note of
 * this page, is the message that it follows.
 */

/** Messages of one sender closer together than this share a heading. */
export const GROUP_GAP_MS = 5 * 60_000;

/** A bot that has said nothing for this long is no longer "typing". */
export const TYPING_LIMIT_MS = 60_000;

const BLANK = {
  id: null,
  clientId: null,
  editedAt: null,
  deletedAt: null,
  delivery: 'sent',
  problem: null,
  sentAt: null,
  turnId: null,
  options: [],
  afterId: null,
};

/** @param wire a message as the server writes it */
export function fromServer(wire) {
  return {
    ...BLANK,
    id: wire.id,
    clientId: wire.client_id ?? null,
    sender: wire.sender,
    content: wire.content ?? null,
    createdAt: wire.created_at ?? wire.timestamp,
    editedAt: wire.edited_at ?? null,
    deletedAt: wire.deleted_at ?? null,
    turnId: wire.turn_id ?? null,
    options: wire.options ?? [],
  };
}

/** A message that the server has not seen yet. */
export function outgoing(content, { clientId, createdAt, sender = 'user' }) {
  return { ...BLANK, clientId, sender, content, createdAt, delivery: 'sending' };
}

/**
 * A system line of this page. It is not on the server, so it remembers the
 * message it follows and keeps that place when the list is sorted.
 */
export function note(content, { clientId, createdAt, afterId }) {
  return { ...BLANK, clientId, sender: 'system', content, createdAt, afterId };
}

/**
 * Add messages, or update the ones they confirm; repeats are harmless. The result
 * is oldest first, each id and each clientId once, unsent last.
 */
export function mergeMessages(messages, incoming) {
  return incoming.reduce(mergeOne, messages).toSorted(byPlace);
}

function mergeOne(messages, incoming) {
  const index = messages.findIndex((known) => isSame(known, incoming));
  if (index < 0) return [...messages, incoming];
  const known = messages[index];
  const merged = {
    ...incoming,
    clientId: incoming.clientId ?? known.clientId, // it is the row's key: keep it
    sentAt: incoming.sentAt ?? known.sentAt,
  };
  return messages
    .filter((other) => other === known || !isSame(other, incoming))
    .map((other) => (other === known ? merged : other));
}

function isSame(a, b) {
  return (
    (a.id !== null && a.id === b.id) || (a.clientId !== null && a.clientId === b.clientId)
  );
}

function byPlace(a, b) {
  return place(a) - place(b) || Number(isNote(a)) - Number(isNote(b));
}

function place(message) {
  return message.id ?? message.afterId ?? Number.MAX_SAFE_INTEGER;
}

export function isNote(message) {
  return message.afterId !== null;
}

/** message: one that is still to be sent, or could not be */
export function isUnsent(message) {
  return message.id === null && !isNote(message);
}

/**
 * Say how the sending of one message goes. A message that the server has
 * meanwhile confirmed (by the socket) is left alone: a late failure is wrong.
 */
export function markDelivery(messages, clientId, delivery, problem = null) {
  return messages.map((message) =>
    message.clientId === clientId && isUnsent(message)
      ? { ...message, delivery, problem }
      : message,
  );
}

/** @returns {number} the newest id the server gave out; 0 when there is none */
export function lastId(messages) {
  return messages.reduce((newest, message) => Math.max(newest, message.id ?? 0), 0);
}

/** @returns {number} the newest id without the agent's words at the end */
export function lastIdBeforeAgent(messages) {
  const index = messages.findLastIndex(({ id, sender }) => id !== null && sender !== 'agent');
  return lastId(messages.slice(0, index + 1));
}

/** @returns {number | null} the oldest id on the page */
export function firstId(messages) {
  return messages.find((message) => message.id !== null)?.id ?? null;
}

/** What the list shows: a row per message, and one before each new day. */
export function toRows(messages, { own = 'user', dayOf = localDay } = {}) {
  const newestOwn = messages.findLast((message) => message.sender === own);
  const rows = [];
  messages.forEach((message, index) => {
    const previous = messages[index - 1];
    const key = message.clientId ?? String(message.id);
    const newDay = !previous || dayOf(previous.createdAt) !== dayOf(message.createdAt);
    if (newDay) rows.push({ kind: 'day', key: `day-${key}`, at: message.createdAt });
    rows.push({
      kind: 'message',
      key,
      message,
      isOwn: message.sender === own,
      starts: newDay || !continues(previous, message),
      showsSent: message === newestOwn && message.delivery === 'sent',
    });
  });
  return rows;
}

function continues(previous, message) {
  const gap = Date.parse(message.createdAt) - Date.parse(previous.createdAt);
  return (
    previous.sender === message.sender && message.sender !== 'system' && gap < GROUP_GAP_MS
  );
}

function localDay(iso) {
  return new Date(iso).toDateString();
}

/** Until when the bot is shown as typing, in ms; null when nobody waits for it. */
export function typingUntil(messages, { holder, humanMode }) {
  if (humanMode || holder !== 'ai') return null;
  const newest = messages.findLast(
    (message) => message.id !== null && message.sender !== 'system',
  );
  if (newest?.sender !== 'user' || newest.deletedAt !== null) return null;
  // After a reload only the server's clock is known; it is near enough.
  return (newest.sentAt ?? Date.parse(newest.createdAt)) + TYPING_LIMIT_MS;
}

/**
 * What the reader may answer with one press: of the newest words, and only as
 * long as nothing was said after them.
 */
export function quickReplies(messages) {
  const newest = messages.findLast((message) => !isNote(message));
  return newest?.sender === 'ai' && newest.deletedAt === null ? newest.options : [];
}
