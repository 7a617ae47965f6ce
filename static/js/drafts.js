import { fromServer } from './logic.js';

/**
 * What the bot is writing right now, by turn. A draft is no message: it becomes
 * one when the server says so, and is withdrawn when a human steps in.
 */
export function createDrafts() {
  const drafts = new Map();

  return {
    get all() {
      return [...drafts.values()];
    },

    /**
     * chunk: text: what came since the last chunk. One answer is written at a time:
     * the word that another was withdrawn has been lost.
     */
    append({ turn_id: turnId, text }) {
      for (const other of [...drafts.keys()]) if (other !== turnId) drafts.delete(other);
      const known = drafts.get(turnId) ?? blank(turnId);
      drafts.set(turnId, { ...known, content: known.content + text });
    },

    drop: (turnId) => drafts.delete(turnId),

    clear: () => drafts.clear(),

    /** The finished words take the draft's place on the page, without a flicker. */
    finish(message) {
      if (message.sender !== 'ai') return message;
      const draft = drafts.get(message.turnId ?? '');
      drafts.clear();
      if (!draft) return message;
      return { ...message, clientId: message.clientId ?? draft.clientId };
    },
  };
}

function blank(turnId) {
  const wire = { id: null, sender: 'ai', content: '', turn_id: turnId };
  const createdAt = new Date().toISOString();
  return {
    ...fromServer({ ...wire, created_at: createdAt, client_id: `draft-${turnId}` }),
    delivery: 'streaming',
  };
}
