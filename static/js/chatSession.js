import { ApiError, conversationPath } from './api.js';
import { readExtras, writeExtras } from './extras.js';
import {
  fromServer,
  isUnsent,
  lastId,
  lastIdBeforeAgent,
  markDelivery,
  mergeMessages,
  note,
  outgoing,
} from './logic.js';
import { createOutbox } from './outbox.js';
import { newClientId } from './random.js';
import { createSocket } from './socket.js';
import { createTranscript } from './transcript.js';
import { GONE_NOTE, holderNote } from './words.js';

/**
 * One visitor's chat: the conversation on the server, what the page shows of
 * it, and what still has to go out. No DOM, so tests drive it with a fake API.
 *
 * onLink: whether the socket is open, null while there is nothing to follow;
 * isReachable: ask the server whether it is there at all
 */
export function createChatSession({ api, store, onChange, onLink, isReachable, connect }) {
  let chat = null;
  let holder = 'ai';
  let isHolderKnown = true;
  let transcript = newTranscript([]);
  let socket = null;
  let creating = null;

  const outbox = createOutbox({
    next: () => transcript.messages.find(isPending),
    post,
    mark: (message, delivery, problem) =>
      transcript.change((all) => markDelivery(all, message.clientId, delivery, problem)),
    isReachable,
  });

  return {
    get view() {
      const canReturn = chat === null && store.read('previous') !== null;
      return { ...transcript.view, holder, canReturn, chatId: chat?.id };
    },
    start,
    send,
    retry,
    takeBack,
    askForHuman,
    backToBot,
    newChat,
    returnToPrevious,
    loadOlder: () => transcript.loadOlder(),
    say,
    resume,
    tellTyping: (isTyping) => socket?.send({ typing: isTyping }),
    lineDown: () => socket?.drop(),
  };

  function start() {
    open(store.read('chat'));
    outbox.flush();
  }

  function open(next) {
    socket?.stop();
    socket = null;
    transcript.close();
    chat = next;
    store.write('chat', chat);
    holder = 'ai';
    isHolderKnown = chat === null;
    transcript = newTranscript(readExtras(store, chat));
    if (chat) {
      transcript.load();
      follow(chat);
    } else onLink(null);
    onChange();
  }

  function newTranscript(messages) {
    const made = createTranscript({
      messages,
      readConversation: () => api.conversation(known()),
      readMessages: (page) => api.messages(known(), page),
      onChange: () => {
        if (made !== transcript) return;
        writeExtras(store, chat, transcript.messages);
        onChange();
      },
      onConversation: applyConversation,
      onGone: startOver,
    });
    return made;
  }

  function known() {
    return chat;
  }

  function follow(current) {
    socket = createSocket({
      path: `/ws${conversationPath(current)}?token=${encodeURIComponent(current.token)}`,
      onOpen: () => transcript.catchUp(true),
      onEvent: receive,
      onLink: (works) => {
        transcript.cut();
        onLink(works);
      },
      onRefused: startOver,
      connect,
    });
  }

  function receive(event, body) {
    if (event === 'STATE_CHANGED') moveTo(body);
    else if (event !== 'TYPING' || body.sender !== 'user') transcript.receive(event, body);
  }

  function send(text) {
    const facts = { clientId: newClientId(), createdAt: new Date().toISOString() };
    transcript.change((all) => mergeMessages(all, [outgoing(text, facts)]));
    outbox.flush();
  }

  function retry(clientId) {
    transcript.change((all) => markDelivery(all, clientId, 'sending'));
    outbox.flush();
  }

  /** @returns the text of what could not be sent */
  function takeBack(clientId) {
    const message = transcript.messages.find((one) => one.clientId === clientId && isUnsent(one));
    if (!message) return '';
    transcript.change((all) => all.filter((one) => one !== message));
    return message.content ?? '';
  }

  async function post(message) {
    const target = await ensureChat();
    if (!transcript.messages.some((one) => one.clientId === message.clientId)) return;
    try {
      const { content, clientId } = message;
      const saved = await api.postMessage(target, { content, clientId });
      if (target !== chat) return;
      const confirmed = { ...fromServer(saved), clientId, sentAt: Date.now() };
      transcript.change((all) => mergeMessages(all, [confirmed]));
    } catch (error) {
      // The message stays pending, and the next try makes a new conversation.
      if (error instanceof ApiError && error.gone && target === chat) startOver();
      throw error;
    }
  }

  /** A conversation is made with the first message, not for every visit. */
  async function ensureChat() {
    if (chat) return chat;
    creating ??= createChat().finally(() => {
      creating = null;
    });
    return creating;
  }

  async function createChat() {
    const made = await api.createConversation();
    if (chat) return chat; // the visitor went back to the earlier one meanwhile
    chat = { id: made.id, token: made.token };
    store.write('chat', chat);
    store.write('previous', null);
    transcript.change((all) => all);
    follow(chat);
    return chat;
  }

  async function askForHuman() {
    try {
      const target = await ensureChat();
      const conversation = await api.escalate(target, 'asked on the page');
      if (target === chat) moveTo(conversation);
    } catch (error) {
      complain('Could not ask for a human.', error);
    }
  }

  async function backToBot() {
    const target = chat;
    if (!target) return;
    try {
      await api.giveBack(target);
      const conversation = await api.conversation(target);
      if (target === chat) moveTo(conversation);
    } catch (error) {
      complain('Could not go back to the bot.', error);
    }
  }

  /** Start over; the chat so far can be opened again until the next one exists. */
  function newChat() {
    if (chat) store.write('previous', chat);
    store.write('extras', null);
    open(null);
  }

  function returnToPrevious() {
    const previous = store.read('previous');
    if (!previous) return;
    store.write('previous', null);
    open(previous);
  }

  /**
   * The server lets us into this chat no more: what is unsent goes into a new one,
   * and until that exists the chat can be tried again.
   */
  function startOver() {
    const unsent = transcript.messages.filter(isUnsent);
    if (chat) store.write('previous', chat);
    store.write('extras', null);
    open(null);
    transcript.change(() => unsent);
    say(GONE_NOTE);
  }

  /** text: a system line of this page */
  function say(text, afterId = lastId(transcript.messages)) {
    const clientId = newClientId();
    const createdAt = new Date().toISOString();
    const line = note(text, { clientId, createdAt, afterId });
    transcript.change((all) => mergeMessages(all, [line]));
  }

  function complain(what, error) {
    if (!(error instanceof ApiError)) throw error; // our own mistake: show it
    say(`${what} ${error.message}`);
  }

  /** The server answers: send what waits, and do not sit out a back-off. */
  function resume() {
    socket?.wake();
    if (socket && transcript.isBehind) transcript.catchUp(socket.isOpen);
    outbox.flush();
  }

  /** This is newer than what is still being read. */
  function moveTo(conversation) {
    transcript.moved();
    applyConversation(conversation);
  }

  function applyConversation({ state }) {
    const text = isHolderKnown ? holderNote(holder, state) : null;
    if (state === holder && isHolderKnown) return;
    isHolderKnown = true;
    holder = state;
    // Often the agent's first words are here before the news that they joined.
    const place = state === 'human' ? lastIdBeforeAgent(transcript.messages) : undefined;
    if (text) say(text, place);
    else onChange();
  }
}

function isPending(message) {
  return isUnsent(message) && message.delivery !== 'failed';
}
