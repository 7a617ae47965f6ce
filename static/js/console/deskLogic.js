/**
 * What the console knows about conversations. Pure: no DOM, no network, no clock.
 *
 * @typedef {'ai' | 'handover_pending' | 'human'} State
 *
 * @typedef {object} Conversation
 * @property {string} id
 * @property {State} state
 * @property {'web' | 'chatwoot'} channel
 * @property {string} name of the contact
 * @property {string | null} userId
 * @property {string | null} url where Chatwoot shows it
 * @property {string | null} reason the rule that set the state last
 * @property {string | null} detail the contact's words when they called a human
 * @property {{ id: number, sender: string, content: string | null, at: string } | null} last
 * @property {string} activeAt ISO, UTC
 */

/** Waiting ones first: somebody sits there. */
const ORDER = { handover_pending: 0, human: 1, ai: 1 };

export function conversationFrom(wire) {
  const last = wire.last_message ? lastFrom(wire.last_message) : null;
  return {
    id: wire.id,
    state: wire.state,
    channel: wire.channel ?? 'web',
    name: wire.name ?? visitorName(wire.user_id),
    userId: wire.user_id ?? null,
    url: wire.url ?? null,
    reason: wire.reason ?? null,
    detail: wire.detail ?? null,
    last,
    activeAt: wire.active_at ?? wire.created_at,
  };
}

/** wire: a message */
export function lastFrom({ id, sender, content, created_at, timestamp }) {
  return { id, sender, content: content ?? null, at: created_at ?? timestamp };
}

/** Tell two nameless visitors apart. */
function visitorName(userId) {
  return userId ? `Visitor ${userId.slice(-4)}` : 'Visitor';
}

/**
 * The list as it is shown.
 *
 * @returns {Conversation[]} waiting first, then the newest activity
 */
export function listed(conversations, { filter, query }) {
  const words = query.toLowerCase().trim();
  return [...conversations]
    .filter((one) => (filter === '' || one.state === filter) && matches(one, words))
    .sort((a, b) => ORDER[a.state] - ORDER[b.state] || b.activeAt.localeCompare(a.activeAt));
}

/** words: in lower case */
function matches({ name, id, last }, words) {
  return [name, id, last?.content ?? ''].some((text) => text.toLowerCase().includes(words));
}

/**
 * What a contact wrote that nobody has looked at. Counted here, where it arrives;
 * of what came while no console was open, only that there is something is known.
 *
 * @param seenId the newest message that was on the screen
 */
export function unreadOf({ last, state }, counted, seenId) {
  if (last?.sender !== 'user' && state === 'ai') return 0; // the bot has answered
  if (counted > 0 || last?.sender !== 'user') return counted;
  return last.id > (seenId ?? 0) ? 1 : 0;
}

/**
 * @param ids in their order
 * @param key a keyboard event's
 * @returns {string | null} the one to go to; null: the key does not move
 */
export function movedTo(ids, selected, key) {
  const here = ids.indexOf(selected ?? '');
  const moves = {
    ArrowDown: Math.min(here + 1, ids.length - 1),
    ArrowUp: Math.max(here - 1, 0),
    Home: 0,
    End: ids.length - 1,
  };
  return ids[Reflect.get(moves, key) ?? -1] ?? null;
}
