import { ApiError } from '../api.js';
import { isUnsent, lastId, markDelivery, mergeMessages, fromServer, outgoing } from '../logic.js';
import { createOutbox } from '../outbox.js';
import { newClientId } from '../random.js';
import { createSocket } from '../socket.js';
import { createTranscript } from '../transcript.js';
import { conversationFrom, lastFrom, listed, unreadOf } from './deskLogic.js';
import { waitingNews } from './deskWords.js';

/**
 * @typedef {import('./deskLogic.js').Conversation} Conversation
 * @typedef {import('../transcript.js').Transcript} Transcript
 * @typedef {import('../logic.js').Message} Message
 */

const LIST_SIZE = 50;
const SEEN_KEPT = 500;

/**
 * The agents' side: every conversation, the one that is open, and what an agent
 * does with it. No DOM.
 *
 * @param {{
 *   api: import('./agentApi.js').AgentApi,
 *   store: import('../storage.js').Store,
 *   onChange: () => void,
 *   onLink: (works: boolean) => void,
 *   onNews: (text: string) => void,
 *   onRefused: () => void,
 *   isReachable: () => Promise<boolean>,
 *   isLookedAt: () => boolean,
 *   connect?: (path: string) => WebSocket,
 * }} options onNews: to be announced; onRefused: this caller is no agent (any more)
 */
export function createDesk({
  api,
  store,
  onChange,
  onLink,
  onNews,
  onRefused,
  isReachable,
  isLookedAt,
  connect,
}) {
  /** @type {Map<string, Conversation>} */
  const conversations = new Map();
  /** @type {Map<string, Transcript>} of the conversations that were opened */
  const transcripts = new Map();
  /** @type {Map<string, number>} by conversation */
  const counted = new Map();
  /** @type {Map<string, boolean>} by user */
  const online = new Map();
  /** @type {Record<string, number>} the newest message seen, by conversation */
  const seen = store.read('seen') ?? {};
  let wanted = { filter: /** @type {any} */ (''), query: '' };
  let selectedId = /** @type {string | null} */ (null);
  let next = /** @type {string | null} */ (null);
  let isLoading = true;
  /** @type {import('../socket.js').Socket | null} */
  let socket = null;

  const outbox = createOutbox({
    next: () => [...transcripts.values()].flatMap(({ messages }) => messages).find(isPending),
    post,
    mark: (message, delivery, problem) =>
      ownerOf(message)?.[1].change((all) =>
        markDelivery(all, message.clientId, delivery, problem),
      ),
    isReachable,
  });

  return {
    get view() {
      const list = listed(conversations.values(), wanted);
      const selected = conversations.get(selectedId ?? '') ?? null;
      return {
        list: list.map((one) => ({ ...one, unread: unread(one), key: one.id })),
        waiting: [...conversations.values()].filter(isWaiting).length,
        wanted,
        hasMore: next !== null,
        isLoading,
        selected,
        isOnline: selected?.userId ? (online.get(selected.userId) ?? null) : null,
        transcript: transcripts.get(selectedId ?? '')?.view ?? null,
      };
    },
    start,
    stop: () => socket?.stop(),
    resume,
    lineDown: () => socket?.drop(),
    select,
    /** @param {Partial<typeof wanted>} part */
    want(part) {
      const isOther = part.filter !== undefined && part.filter !== wanted.filter;
      wanted = { ...wanted, ...part };
      onChange();
      if (isOther) readList();
    },
    loadMore: () => next && readList(next),
    loadOlder: () => transcripts.get(selectedId ?? '')?.loadOlder(),
    send,
    retry,
    takeBack,
    act,
    looked,
    /** @param {boolean} typing */
    tellTyping: (typing) =>
      selectedId && socket?.send({ conversation_id: selectedId, typing }),
  };

  function start() {
    socket = createSocket({
      path: '/ws/agents',
      onOpen: readAll,
      onEvent: receive,
      onLink: (works) => {
        for (const transcript of transcripts.values()) transcript.cut();
        onLink(works);
      },
      onRefused,
      connect,
    });
  }

  function readAll() {
    readList();
    for (const transcript of transcripts.values()) transcript.catchUp(true);
  }

  /** @param {string | null} [before] a page's cursor; without one, from the newest */
  async function readList(before = null) {
    const { filter } = wanted;
    try {
      const page = await api.conversations({ state: filter, before, limit: LIST_SIZE });
      if (filter !== wanted.filter) return;
      page.items.forEach(keep);
      next = page.next;
      isLoading = false;
      onChange();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // our own mistake: show it
      if (error.status === 401 || error.status === 403) onRefused();
    }
  }

  /** @param {any} wire */
  function keep(wire) {
    if (wire.online !== undefined && wire.user_id) online.set(wire.user_id, wire.online);
    conversations.set(wire.id, conversationFrom(wire));
  }

  /** @param {string} id */
  function select(id) {
    looked();
    selectedId = id;
    if (!transcripts.has(id)) openTranscript(id);
    looked();
    onChange();
  }

  /** @param {string} id */
  function openTranscript(id) {
    const transcript = createTranscript({
      readConversation: () => api.conversation(id),
      readMessages: (page) => api.messages(id, page),
      onChange: () => {
        if (id === selectedId) onChange();
      },
      onConversation: (wire) => {
        keep(wire);
        onChange();
      },
      onGone: () => {
        conversations.delete(id);
        transcripts.delete(id);
        onChange();
      },
    });
    transcript.load();
    transcripts.set(id, transcript);
    transcript.catchUp(socket?.isOpen ?? false);
  }

  /** @param {string} event @param {any} body */
  function receive(event, body) {
    if (event === 'PRESENCE') {
      online.set(body.user_id, body.online);
      return onChange();
    }
    if (event === 'TYPING' && body.sender === 'agent') return; // that is us
    const known = conversations.get(body.conversation_id);
    if (!known) return event === 'NEW_MESSAGE' || event === 'STATE_CHANGED' ? meet(body) : undefined;
    if (event === 'NEW_MESSAGE') hearMessage(known, body);
    if (event === 'STATE_CHANGED') moveTo(known, body.state);
    if (known.last?.id === body.id && /UPDATED|DELETED/.test(event)) {
      conversations.set(known.id, { ...known, last: lastFrom(body) });
    }
    transcripts.get(known.id)?.receive(event, body);
    onChange();
  }

  /** @param {Conversation} known @param {any} body */
  function hearMessage(known, body) {
    const last = lastFrom(body);
    conversations.set(known.id, { ...known, last, activeAt: last.at });
    if (body.sender === 'user') counted.set(known.id, (counted.get(known.id) ?? 0) + 1);
    looked();
  }

  /** @param {Conversation} known @param {import('./deskLogic.js').State} state */
  function moveTo(known, state) {
    if (state === known.state) return;
    conversations.set(known.id, { ...known, state });
    if (state === 'handover_pending') onNews(waitingNews(known.name));
  }

  /** A conversation that is not in the list yet. @param {any} body */
  async function meet({ conversation_id: id }) {
    try {
      const wire = await api.conversation(id);
      keep(wire);
      if (wire.last_message?.sender === 'user') counted.set(id, counted.get(id) ?? 1);
      if (wire.state === 'handover_pending') onNews(waitingNews(conversationFrom(wire).name));
      onChange();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the next reading of the list has it
    }
  }

  /** What is open and in view is read. */
  function looked() {
    const transcript = transcripts.get(selectedId ?? '');
    if (!selectedId || !transcript || !isLookedAt()) return;
    counted.delete(selectedId);
    const newest = conversations.get(selectedId)?.last?.id ?? lastId(transcript.messages);
    if (seen[selectedId] === newest) return;
    seen[selectedId] = newest;
    const newestFirst = Object.entries(seen).sort(([, a], [, b]) => b - a);
    store.write('seen', Object.fromEntries(newestFirst.slice(0, SEEN_KEPT)));
  }

  /** @param {Conversation} one */
  function unread(one) {
    return unreadOf(one, counted.get(one.id) ?? 0, seen[one.id]);
  }

  /** @param {string} text */
  function send(text) {
    const facts = { clientId: newClientId(), createdAt: new Date().toISOString() };
    const message = outgoing(text, { ...facts, sender: 'agent' });
    transcripts.get(selectedId ?? '')?.change((all) => mergeMessages(all, [message]));
    outbox.flush();
  }

  /** @param {string} clientId */
  function retry(clientId) {
    const transcript = transcripts.get(selectedId ?? '');
    transcript?.change((all) => markDelivery(all, clientId, 'sending'));
    outbox.flush();
  }

  /** @param {string} clientId @returns {string} the text of what could not be sent */
  function takeBack(clientId) {
    const transcript = transcripts.get(selectedId ?? '');
    const message = transcript?.messages.find((one) => one.clientId === clientId);
    transcript?.change((all) => all.filter((one) => one !== message));
    return message?.content ?? '';
  }

  /** @param {Message} message */
  async function post(message) {
    const [id, transcript] = /** @type {[string, Transcript]} */ (ownerOf(message));
    const saved = await api.say(id, /** @type {any} */ (message));
    const confirmed = { ...fromServer(saved), clientId: message.clientId };
    transcript.change((all) => mergeMessages(all, [confirmed]));
  }

  /** @param {Message} message */
  function ownerOf(message) {
    return [...transcripts].find(([, { messages }]) =>
      messages.some((one) => one.clientId === message.clientId),
    );
  }

  /**
   * Do something with the open conversation; what comes of it comes as an event
   * too, but the one who pressed need not wait for it.
   *
   * @param {(api: import('./agentApi.js').AgentApi, id: string) => Promise<any>} what
   */
  async function act(what) {
    const id = selectedId;
    if (!id) return;
    const answer = await what(api, id);
    const known = conversations.get(id);
    if (answer.state && known) moveTo(known, answer.state);
    else if (answer.sender) transcripts.get(id)?.receive('MESSAGE_UPDATED', answer);
    onChange();
  }

  /** The server answers: read what is missing, send what waits. */
  function resume() {
    socket?.wake();
    if (isLoading || !socket?.isOpen) readList();
    for (const transcript of transcripts.values()) {
      if (transcript.isBehind) transcript.catchUp(socket?.isOpen ?? false);
    }
    outbox.flush();
  }
}

/** @param {Conversation} one */
function isWaiting({ state }) {
  return state === 'handover_pending';
}

/** @param {Message} message */
function isPending(message) {
  return isUnsent(message) && message.delivery !== 'failed';
}

/** @typedef {ReturnType<typeof createDesk>} Desk */
