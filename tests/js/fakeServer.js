import { ApiError } from '../../static/js/api.js';

/** The service in memory, REST and sockets, with a switch for each thing that can go wrong. */
export function fakeServer() {
  const conversations = new Map();
  let lastId = 0;
  const sockets = new Set();
  const server = {
    isDown: false,
    /** How many messages a page has at most, as when they are long. */
    longest: Infinity,
    refusal: null, // what the next message is refused with
    created: 0,
    posted: [],
    api: {
      createConversation: async () => {
        check();
        server.created += 1;
        const id = `c_${server.created}`;
        conversations.set(id, { id, token: `t_${id}`, state: 'ai', messages: [] });
        return { id, token: `t_${id}`, state: 'ai' };
      },
      conversation: async (chat) => view(open(chat)),
      messages: async (chat, page) => pageOf(open(chat), page),
      postMessage: async (chat, { content, clientId }) => {
        const conversation = open(chat);
        if (server.refusal) throw server.refusal;
        server.posted.push(content);
        const known = conversation.messages.find((message) => message.client_id === clientId);
        return known ?? server.say(chat.id, 'user', content, clientId);
      },
      escalate: async (chat) => {
        open(chat);
        server.setState(chat.id, 'handover_pending');
        return view(open(chat));
      },
      giveBack: async (chat) => {
        open(chat);
        server.setState(chat.id, 'ai');
        return { human_mode: false, conversation_id: chat.id };
      },
    },
    /** What the page's sockets connect with. */
    connect(path) {
      const { pathname, searchParams } = new URL(path, 'ws://here');
      const socket = { sent: [], send: (text) => socket.sent.push(JSON.parse(text)) };
      socket.id = pathname.split('/').at(-1);
      socket.close = () => sockets.delete(socket);
      setTimeout(() => {
        if (server.isDown) return socket.onclose?.({ code: 1006 });
        const isKnown = conversations.get(socket.id)?.token === searchParams.get('token');
        if (!isKnown) return socket.onclose?.({ code: 4401 });
        sockets.add(socket);
        socket.onopen?.();
      });
      return socket;
    },
    say(id, sender, content, clientId = null, turnId = null) {
      lastId += 1;
      const message = {
        id: lastId,
        conversation_id: id,
        sender,
        content,
        created_at: new Date().toISOString(),
        client_id: clientId,
        turn_id: turnId,
      };
      conversations.get(id).messages.push(message);
      server.emit(id, 'NEW_MESSAGE', message);
      return message;
    },
    /** Without a word to anybody: what happens while the line is cut. */
    rewrite(message, changes) {
      Object.assign(message, changes);
    },
    setState(id, state) {
      conversations.get(id).state = state;
      server.emit(id, 'STATE_CHANGED', { conversation_id: id, state, reason: 'test' });
    },
    emit(id, event, body) {
      for (const socket of sockets) {
        if (socket.id === id) socket.onmessage?.({ data: JSON.stringify({ event, body }) });
      }
    },
    forgetEverything() {
      conversations.clear();
      server.endSockets(4401);
    },
    cut() {
      server.isDown = true;
      server.endSockets(1006);
    },
    endSockets(code) {
      for (const socket of [...sockets]) socket.onclose?.({ code });
    },
    /** All that pages have sent over their sockets. */
    get frames() {
      return [...sockets].flatMap(({ sent }) => sent);
    },
  };
  return server;

  function check() {
    if (server.isDown) throw new ApiError('No answer.', { status: 0, code: 'no_answer' });
  }

  function open(chat) {
    check();
    const conversation = conversations.get(chat.id);
    if (conversation?.token === chat.token) return conversation;
    throw new ApiError('Unknown.', { status: 401, code: 'unauthorized' });
  }

  function view({ id, state, messages }) {
    return { id, state, last_message: messages.at(-1) ?? null };
  }

  function pageOf({ messages }, { after = 0, before, size }) {
    const most = Math.min(size, server.longest);
    const isBefore = before !== undefined;
    const found = messages.filter(({ id }) => (isBefore ? id < before : id > after));
    const items = isBefore ? found.slice(-most) : found.slice(0, most);
    const isFull = items.length === most;
    return { items, next: isFull ? items.at(isBefore ? 0 : -1).id : null };
  }
}
