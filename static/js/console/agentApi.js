import { conversationPath, createCall, messagesPath } from '../api.js';

/**
 * What agents may ask for; see `api.js` for the one rule of every call.
 *
 * @param {Parameters<typeof createCall>[0]} [options]
 */
export function createAgentApi(options) {
  const call = createCall(options);
  /** @param {string} method @param {string} path @param {object} [body] */
  const write = (method, path, body) => call(path, { method, body });
  /** @param {string} id @param {string} [rest] */
  const at = (id, rest) => conversationPath({ id }, rest);

  return {
    session: () => call('/session'),
    /** @param {string} token */
    signIn: (token) => write('POST', '/session', { token }),
    signOut: () => write('DELETE', '/session'),

    /** @param {{ state?: string, before?: string | null, limit: number }} page */
    conversations: ({ state, before, limit }) => {
      const query = new URLSearchParams({ limit: String(limit) });
      if (state) query.set('state', state);
      if (before) query.set('before', before);
      return call(`/conversations?${query}`);
    },
    /** @param {string} id */
    conversation: (id) => call(at(id)),
    /** @param {string} id @param {import('../transcript.js').Page} page */
    messages: (id, page) => call(messagesPath({ id }, page)),
    /** @param {string} id @param {{ content: string, clientId: string }} message */
    say: (id, { content, clientId }) =>
      write('POST', at(id, '/messages'), { content, sender: 'agent', client_id: clientId }),
    /** @param {string} id @param {number} messageId @param {string} content */
    edit: (id, messageId, content) => write('PUT', at(id, `/messages/${messageId}`), { content }),
    /** @param {string} id @param {number} messageId */
    remove: (id, messageId) => write('DELETE', at(id, `/messages/${messageId}`)),
    /** @param {string} id @param {'takeover' | 'release' | 'resolve'} what */
    move: (id, what) => write('POST', at(id, `/${what}`), {}),
    /** @param {string | number} id @param {boolean} enabled */
    setHuman: (id, enabled) => write('POST', '/toggle-human', { conversation_id: id, enabled }),
    /** @param {string} id */
    turns: (id) => call(at(id, '/turns')),
    bookings: () => call('/bookings'),
    /** What there is to do now; the figures of a longer time are not asked for. */
    load: async () => (await call(`/stats?since=${Math.floor(Date.now() / 1_000)}`)).now,
    deadLetters: () => call('/dead-letters'),
    /** @param {string | number} id */
    replay: (id) => write('POST', `/dead-letters/${encodeURIComponent(id)}/replay`, {}),
  };
}

/** @typedef {ReturnType<typeof createAgentApi>} AgentApi */
