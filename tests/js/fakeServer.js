import { ApiError } from '../../static/js/api.js';

/** The service's REST interface in memory, with a switch for each thing that can go wrong. */
export function fakeServer() {
  const conversations = new Map();
  let lastId = 0;
  let waiting = [];
  const server = {
    isDown: false,
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
      messages: async (chat, page) => {
        const items = select(open(chat), page);
        if (items.length > 0 || !page.waitS) return { items };
        await change(page.signal);
        return { items: select(open(chat), page) };
      },
      postMessage: async (chat, { content, clientId }) => {
        const conversation = open(chat);
        if (server.refusal) throw server.refusal;
        server.posted.push(content);
        const known = conversation.messages.find((message) => message.client_id === clientId);
        return known ?? server.say(chat.id, 'user', content, clientId);
      },
      escalate: async (chat) => {
        open(chat).state = 'handover_pending';
        return view(open(chat));
      },
      giveBack: async (chat) => {
        open(chat).state = 'ai';
        return { human_mode: false, conversation_id: chat.id };
      },
    },
    say(id, sender, content, clientId = null) {
      lastId += 1;
      const message = {
        id: lastId,
        conversation_id: id,
        sender,
        content,
        created_at: new Date().toISOString(),
        client_id: clientId,
      };
      conversations.get(id).messages.push(message);
      server.announce();
      return message;
    },
    setState(id, state) {
      conversations.get(id).state = state;
      server.announce();
    },
    forgetEverything() {
      conversations.clear();
      server.announce();
    },
    cut() {
      server.isDown = true;
      server.announce();
    },
    announce() {
      const all = waiting;
      waiting = [];
      for (const end of all) end();
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

  function select({ messages }, { after = 0, before, size }) {
    if (before) return messages.filter((message) => message.id < before).slice(-size);
    return messages.filter((message) => message.id > after).slice(0, size);
  }

  function change(signal) {
    return new Promise((resolve) => {
      waiting.push(resolve);
      signal?.addEventListener('abort', resolve);
    });
  }
}
