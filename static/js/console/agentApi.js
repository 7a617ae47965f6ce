import { conversationPath, createCall, messagesPath } from '../api.js';

/** What agents may ask for; see `api.js` for the one rule of every call. */
export function createAgentApi(options) {
  const call = createCall(options);
  const write = (method, path, body) => call(path, { method, body });
  const at = (id, rest) => conversationPath({ id }, rest);

  return {
    session: () => call('/session'),
    signIn: (token) => write('POST', '/session', { token }),
    signOut: () => write('DELETE', '/session'),

    /** displayId, accountId: Chatwoot's */
    conversations: ({ state, before, displayId, accountId, limit }) => {
      const query = new URLSearchParams({ limit: String(limit) });
      if (state) query.set('state', state);
      if (before) query.set('before', before);
      if (displayId) query.set('display_id', String(displayId));
      if (accountId) query.set('account_id', String(accountId));
      return call(`/conversations?${query}`);
    },
    conversation: (id) => call(at(id)),
    messages: (id, page) => call(messagesPath({ id }, page)),
    say: (id, { content, clientId }) =>
      write('POST', at(id, '/messages'), { content, sender: 'agent', client_id: clientId }),
    edit: (id, messageId, content) => write('PUT', at(id, `/messages/${messageId}`), { content }),
    remove: (id, messageId) => write('DELETE', at(id, `/messages/${messageId}`)),
    move: (id, what) => write('POST', at(id, `/${what}`), {}),
    turns: (id) => call(at(id, '/turns')),
    presence: (userId) => call(`/ws/users/${encodeURIComponent(userId)}/status`),
    bookings: (id) => call(`/bookings?conversation_id=${encodeURIComponent(id)}`),
    /** What there is to do now; the figures of a longer time are not asked for. */
    load: async () => {
      const { now, today, currency } = await call(`/stats?since=${Math.floor(Date.now() / 1_000)}`);
      return { ...now, today, currency };
    },
    deadLetters: () => call('/dead-letters'),
    replay: (id) => write('POST', `/dead-letters/${encodeURIComponent(id)}/replay`, {}),
  };
}
