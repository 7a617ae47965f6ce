import { ApiError } from '../api.js';
import { isUnsent, lastId, markDelivery, mergeMessages, fromServer, outgoing } from '../logic.js';
import { createOutbox } from '../outbox.js';
import { newClientId } from '../random.js';
import { createSocket } from '../socket.js';
import { createTranscript } from '../transcript.js';
import { conversationFrom, lastFrom, listed, unreadOf } from './deskLogic.js';
import { waitingNews } from './deskWords.js';

const LIST_SIZE = 50;
const SEEN_KEPT = 500;
/** Opened conversations whose transcripts are kept for another look. */
const TRANSCRIPTS_KEPT = 10;
/** What agents read along; of others nothing of it is shown. */
const LIVE = new Set(['REPLY_CHUNK', 'REPLY_DROPPED', 'TYPING']);

/**
 * The agents' side: every conversation, the one that is open, and what an agent
 * does with it. No DOM.
 *
 * onNews: to be announced; onRefused: this caller is no agent (any more)
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
  const conversations = new Map();
  /** of the conversations that were opened last, the newest at the end */
  const transcripts = new Map();
  /** by conversation */
  const counted = new Map();
  /** by user */
  const online = new Map();
  /** the newest message seen, by conversation */
  const seen = store.read('seen') ?? {};
  let wanted = { filter: '', query: '' };
  let selectedId = null;
  let next = null;
  let isLoading = true;
  /** when each conversation was last moved, by a clock that counts the moves */
  const movedAt = new Map();
  let moves = 0;
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
    /** @returns whether it, or another one, is open now */
    opens(id) {
      if (selectedId === null && conversations.has(id)) select(id);
      return selectedId !== null;
    },
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
    online.clear();
    if (conversations.has(selectedId)) readPresence(conversations.get(selectedId));
    readList();
    readHeld();
    transcripts.get(selectedId ?? '')?.catchUp(true);
  }

  /** before: a page's cursor; without one, from the newest */
  function readList(before = null) {
    const { filter } = wanted;
    const asked = moves;
    return reading(async () => {
      const page = await api.conversations({ state: filter, before, limit: LIST_SIZE });
      if (filter !== wanted.filter) return;
      for (const wire of page.items) keep(wire, asked);
      next = page.next;
      isLoading = false;
      onChange();
    });
  }

  /**
   * Whose state may have changed without a word being said: those that humans hold
   * now, and those that we think they hold. The list alone shows the newest activity.
   */
  function readHeld() {
    return reading(async () => {
      const asked = moves;
      const states = ['handover_pending', 'human'].map((state) =>
        api.conversations({ state, before: null, limit: LIST_SIZE }),
      );
      const pages = await Promise.all(states);
      const held = new Map(pages.flatMap(({ items }) => items).map((wire) => [wire.id, wire]));
      for (const wire of held.values()) keep(wire, asked);
      onChange();
      const doubtful = [...conversations.values()].filter(
        ({ id, state }) => !held.has(id) && (state !== 'ai' || id === selectedId),
      );
      for (const { id } of doubtful) await reading(() => readAgain(id));
    });
  }

  async function readAgain(id) {
    const asked = moves;
    keep(await api.conversation(id), asked);
    onChange();
  }

  async function reading(read) {
    try {
      await read();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // our own mistake: show it
      if (error.status === 401 || error.status === 403) onRefused();
    }
  }

  /**
   * The list is read while events come in: what is newer stays.
   *
   * asked: when, by the clock of the moves
   */
  function keep(wire, asked = moves) {
    const known = conversations.get(wire.id);
    const next = conversationFrom(wire);
    if (known && (movedAt.get(wire.id) ?? 0) > asked) next.state = known.state;
    if (known?.last && known.last.id > (next.last?.id ?? 0)) {
      next.last = known.last;
      next.activeAt = known.activeAt;
    }
    conversations.set(wire.id, next);
  }

  function select(id) {
    looked();
    selectedId = id;
    const known = transcripts.get(id);
    transcripts.delete(id);
    if (known) {
      transcripts.set(id, known); // the newest
      if (known.isBehind) known.catchUp(socket?.isOpen ?? false);
    } else openTranscript(id);
    forgetOld();
    looked();
    onChange();
    readPresence(conversations.get(id));
  }

  /** What still has to go out is kept. */
  function forgetOld() {
    const still = [...transcripts].filter(
      ([id, { messages }]) => id !== selectedId && !messages.some(isUnsent),
    );
    const tooMany = Math.max(0, transcripts.size - TRANSCRIPTS_KEPT);
    for (const [id, transcript] of still.slice(0, tooMany)) {
      transcript.close();
      transcripts.delete(id);
    }
  }

  /** Later changes come as events. */
  async function readPresence({ userId, channel }) {
    if (channel !== 'web' || !userId || online.has(userId)) return;
    try {
      const status = await api.presence(userId);
      online.set(userId, status.online);
      onChange();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // then it is not shown
    }
  }

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
        movedAt.delete(id);
        transcripts.delete(id);
        onChange();
      },
    });
    transcript.load();
    transcripts.set(id, transcript);
    transcript.catchUp(socket?.isOpen ?? false);
  }

  function receive(event, body) {
    if (event === 'PRESENCE') {
      online.set(body.user_id, body.online);
      return onChange();
    }
    if (event === 'TYPING' && body.sender === 'agent') return; // that is us
    const known = conversations.get(body.conversation_id);
    if (!known) return event === 'NEW_MESSAGE' || event === 'STATE_CHANGED' ? meet(body) : undefined;
    if (event === 'NEW_MESSAGE') hearMessage(known, body);
    if (event === 'STATE_CHANGED') moveTo(known, body);
    if (known.last?.id === body.id && /UPDATED|DELETED/.test(event)) {
      conversations.set(known.id, { ...known, last: lastFrom(body) });
    }
    transcripts.get(known.id)?.receive(event, body);
    if (!LIVE.has(event)) onChange(); // what is open says so itself
  }

  function hearMessage(known, body) {
    const last = lastFrom(body);
    conversations.set(known.id, { ...known, last, activeAt: last.at });
    if (body.sender === 'user') counted.set(known.id, (counted.get(known.id) ?? 0) + 1);
    looked();
  }

  function moveTo(known, { state, reason = null, detail = null }) {
    moves += 1;
    movedAt.set(known.id, moves);
    transcripts.get(known.id)?.moved();
    if (state === known.state) return;
    conversations.set(known.id, { ...known, state, reason, detail });
    if (state === 'handover_pending') onNews(waitingNews(known.name));
  }

  /** A conversation that is not in the list yet. */
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

  function unread(one) {
    return unreadOf(one, counted.get(one.id) ?? 0, seen[one.id]);
  }

  function send(text) {
    const facts = { clientId: newClientId(), createdAt: new Date().toISOString() };
    const message = outgoing(text, { ...facts, sender: 'agent' });
    transcripts.get(selectedId ?? '')?.change((all) => mergeMessages(all, [message]));
    outbox.flush();
  }

  function retry(clientId) {
    const transcript = transcripts.get(selectedId ?? '');
    transcript?.change((all) => markDelivery(all, clientId, 'sending'));
    outbox.flush();
  }

  /** @returns the text of what could not be sent */
  function takeBack(clientId) {
    const transcript = transcripts.get(selectedId ?? '');
    const message = transcript?.messages.find((one) => one.clientId === clientId);
    transcript?.change((all) => all.filter((one) => one !== message));
    return message?.content ?? '';
  }

  async function post(message) {
    const [id, transcript] = ownerOf(message);
    const saved = await api.say(id, message);
    const confirmed = { ...fromServer(saved), clientId: message.clientId };
    transcript.change((all) => mergeMessages(all, [confirmed]));
  }

  function ownerOf(message) {
    return [...transcripts].find(([, { messages }]) =>
      messages.some((one) => one.clientId === message.clientId),
    );
  }

  /**
   * Do something with the open conversation; what comes of it comes as an event
   * too, but the one who pressed need not wait for it.
   */
  async function act(what) {
    const id = selectedId;
    if (!id) return;
    const answer = await what(api, id);
    const known = conversations.get(id);
    if (answer.state && known) moveTo(known, answer);
    else if (answer.sender) transcripts.get(id)?.receive('MESSAGE_UPDATED', answer);
    onChange();
  }

  /** The server answers: read what is missing, send what waits. */
  function resume() {
    socket?.wake();
    if (isLoading || !socket?.isOpen) readList();
    const transcript = transcripts.get(selectedId ?? '');
    if (transcript?.isBehind) transcript.catchUp(socket?.isOpen ?? false);
    outbox.flush();
  }
}

function isWaiting({ state }) {
  return state === 'handover_pending';
}

function isPending(message) {
  return isUnsent(message) && message.delivery !== 'failed';
}
