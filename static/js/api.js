/**
 * The service's REST interface, as functions. One rule: a call returns the
 * parsed body, or throws an ApiError that says whether trying again can help.
 * A chat, {id, token}, is how a visitor gets back in.
 */

const TIMEOUT_MS = 15_000;
/** By the status, the code that our own answer has with it. */
const REFUSALS = { 401: 'unauthorized', 403: 'forbidden', 404: 'not_found' };

export class ApiError extends Error {
  /** message: one sentence, fit to be shown; status 0: no answer came */
  constructor(message, { status, code }) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }

  /** The line or the server is at fault; the same request may work later. */
  get retryable() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  /** The server does not know this caller, or not any more. */
  get gone() {
    return this.status in REFUSALS;
  }
}

/** token: the operator's, for where the browser does not keep the session cookie */
export function createCall({ fetch = globalThis.fetch.bind(globalThis), token = () => null } = {}) {
  return async function call(path, options = {}) {
    const { method = 'GET', chat, body, signal, acceptStatus = [] } = options;
    const bearer = chat?.token ?? token();
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    const { response, data } = await answer(path, {
      method,
      headers: {
        Accept: 'application/json',
        ...(body && { 'Content-Type': 'application/json' }),
        ...(bearer && { Authorization: `Bearer ${bearer}` }),
      },
      body: body && JSON.stringify(body),
      cache: 'no-store',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    if (response.status === 204) return {};
    const refusal = Reflect.get(REFUSALS, response.status);
    if (refusal && data?.error?.code !== refusal) throw unreadable(); // of whoever stands between
    if (!response.ok && !acceptStatus.includes(response.status)) {
      throw new ApiError(data?.error?.message ?? 'The server could not do this.', {
        status: response.status,
        code: data?.error?.code ?? 'unknown',
      });
    }
    if (data === null) throw unreadable();
    return data;
  };

  /** A proxy's or a captive portal's page is not an answer of ours. */
  function unreadable() {
    return new ApiError('The server gave an unreadable answer.', { status: 0, code: 'not_ours' });
  }

  async function answer(path, init) {
    try {
      const response = await fetch(path, init);
      const text = await response.text();
      return { response, data: parse(text) };
    } catch {
      throw new ApiError('The server cannot be reached.', { status: 0, code: 'no_answer' });
    }
  }
}

export function conversationPath(chat, rest = '') {
  return `/conversations/${encodeURIComponent(chat.id)}${rest}`;
}

export function messagesPath(chat, { after, before, size }) {
  const query = new URLSearchParams({ size: String(size) });
  if (after !== undefined) query.set('after', String(after));
  if (before !== undefined) query.set('before', String(before));
  return `${conversationPath(chat, '/messages')}?${query}`;
}

/**
 * What the visitor's chat and the page around it ask for.
 *
 * visitor: the visitor's chat, or null; to strangers the service does not say who answers
 */
export function createApi({ visitor = () => null, ...options } = {}) {
  const call = createCall(options);

  return {
    /** Not ready is an answer too, with the same body. */
    health: () => call('/health/ready', { chat: visitor(), acceptStatus: [503] }),

    humanStatus: () => call('/human-status'),

    /** enabled: for all conversations */
    setHumanMode: (enabled) => call('/toggle-human', { method: 'POST', body: { enabled } }),

    /** An operator's call: a visitor's token would only be refused. */
    giveBack: (chat) =>
      call('/toggle-human', {
        method: 'POST',
        body: { conversation_id: chat.id, enabled: false },
      }),

    createConversation: () => call('/conversations', { method: 'POST', body: {} }),

    conversation: (chat) => call(conversationPath(chat), { chat }),

    messages: (chat, page) => call(messagesPath(chat, page), { chat }),

    postMessage: (chat, { content, clientId }) =>
      call(conversationPath(chat, '/messages'), {
        method: 'POST',
        chat,
        body: { content, sender: 'user', client_id: clientId },
      }),

    escalate: (chat, reason) =>
      call(conversationPath(chat, '/escalate'), { method: 'POST', chat, body: { reason } }),
  };
}

/** @returns null when it is not JSON */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
