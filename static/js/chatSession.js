import { ApiError } from './api.js';
import { readExtras, writeExtras } from './extras.js';
import {
  firstId,
  fromServer,
  isNote,
  isUnsent,
  lastId,
  lastIdBeforeAgent,
  markDelivery,
  mergeMessages,
  note,
  outgoing,
} from './logic.js';
import { createOutbox } from './outbox.js';
import { followConversation } from './poll.js';
import { newClientId } from './random.js';
import { GONE_NOTE, holderNote } from './words.js';

/**
 * @typedef {import('./api.js').Chat} Chat
 * @typedef {import('./logic.js').Message} Message
 */

const PAGE_SIZE = 50;

/**
 * One visitor's chat: the conversation on the server, what the page shows of
 * it, and what still has to go out. No DOM, so tests drive it with a fake API.
 *
 * @param {{
 *   api: import('./api.js').Api,
 *   store: import('./storage.js').Store,
 *   onChange: () => void,
 *   onLink: (works: boolean | null) => void,
 *   isReachable: () => Promise<boolean>,
 *   isHidden?: () => boolean,
 * }} options
 *   onLink: whether the poll gets through, null while there is nothing to poll;
 *   isReachable: ask the server whether it is there at all
 */
export function createChatSession({ api, store, onChange, onLink, isReachable, isHidden }) {
  /** @type {Chat | null} */
  let chat = null;
  /** @type {Message[]} oldest first */
  let messages = [];
  let holder = 'ai';
  let hasOlder = false;
  let isLoading = false;
  let isLoadingOlder = false;
  /** @type {ReturnType<typeof followConversation> | null} */
  let follower = null;
  /** @type {Promise<Chat> | null} */
  let creating = null;

  const outbox = createOutbox({
    next: () => messages.find(isPending),
    post,
    mark: (message, delivery, problem) =>
      setMessages(markDelivery(messages, message.clientId, delivery, problem)),
    isReachable,
  });

  return {
    get view() {
      const canReturn = chat === null && store.read('previous') !== null;
      return { messages: shown(), holder, hasOlder, isLoading, canReturn };
    },
    start,
    send,
    retry,
    takeBack,
    askForHuman,
    backToBot,
    newChat,
    returnToPrevious,
    loadOlder,
    say,
    resume,
  };

  /** A note about messages that are not read yet would stand out of place. */
  function shown() {
    if (!hasOlder) return messages;
    const first = firstId(messages) ?? 0;
    return messages.filter((one) => !isNote(one) || (one.afterId ?? 0) >= first);
  }

  function start() {
    open(store.read('chat'));
    outbox.flush();
  }

  /** @param {Chat | null} next */
  function open(next) {
    follower?.stop();
    follower = null;
    chat = next;
    store.write('chat', chat);
    holder = 'ai';
    hasOlder = false;
    isLoading = chat !== null;
    messages = readExtras(store, chat);
    if (chat) follow(chat, (signal) => readNewest(chat, signal));
    else onLink(null);
    onChange();
  }

  /** @param {Chat} current @param {((signal: AbortSignal) => Promise<void>) | null} first */
  function follow(current, first) {
    follower = followConversation({
      api,
      chat: current,
      open: first,
      lastId: () => lastId(messages),
      onMessages: merge,
      onConversation: applyConversation,
      onLink,
      onGone: startOver,
      isHidden,
    });
  }

  /** The newest page first, so a long chat is on the screen at once. */
  async function readNewest(/** @type {any} */ current, /** @type {AbortSignal} */ signal) {
    const conversation = await api.conversation(current, signal);
    const newest = conversation.last_message?.id ?? 0;
    const page = newest
      ? await api.messages(current, { before: newest + 1, size: PAGE_SIZE, signal })
      : { items: [] };
    if (current !== chat) return;
    holder = conversation.state;
    hasOlder = page.items.length >= PAGE_SIZE;
    isLoading = false;
    merge(page.items);
    onChange();
  }

  async function loadOlder() {
    const before = firstId(messages);
    if (!chat || !hasOlder || isLoadingOlder || before === null) return;
    const current = chat;
    isLoadingOlder = true;
    try {
      const page = await api.messages(current, { before, size: PAGE_SIZE });
      if (current !== chat) return;
      hasOlder = page.items.length >= PAGE_SIZE;
      merge(page.items);
      onChange();
    } catch (error) {
      rethrowOurs(error); // the button is still there: nothing to say
    } finally {
      isLoadingOlder = false;
    }
  }

  /** @param {string} text */
  function send(text) {
    const facts = { clientId: newClientId(), createdAt: new Date().toISOString() };
    setMessages(mergeMessages(messages, [outgoing(text, facts)]));
    outbox.flush();
  }

  /** @param {string} clientId */
  function retry(clientId) {
    setMessages(markDelivery(messages, clientId, 'sending'));
    outbox.flush();
  }

  /** @param {string} clientId @returns {string} the text of what could not be sent */
  function takeBack(clientId) {
    const message = messages.find((one) => one.clientId === clientId && isUnsent(one));
    if (!message) return '';
    setMessages(messages.filter((one) => one !== message));
    return message.content ?? '';
  }

  /** @param {Message} message */
  async function post(message) {
    const target = await ensureChat();
    if (!messages.some((one) => one.clientId === message.clientId)) return;
    try {
      const { content, clientId } = /** @type {any} */ (message);
      const saved = await api.postMessage(target, { content, clientId });
      if (target !== chat) return;
      const confirmed = { ...fromServer(saved), clientId, sentAt: Date.now() };
      setMessages(mergeMessages(messages, [confirmed]));
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
    setMessages(messages);
    follow(chat, null);
    return chat;
  }

  async function askForHuman() {
    try {
      const target = await ensureChat();
      const conversation = await api.escalate(target, 'asked on the page');
      if (target === chat) applyConversation(conversation);
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
      if (target === chat) applyConversation(conversation);
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

  /** The server no longer knows this chat: what is unsent goes into a new one. */
  function startOver() {
    const unsent = messages.filter(isUnsent);
    store.write('extras', null);
    open(null);
    setMessages(unsent);
    say(GONE_NOTE);
  }

  /** @param {string} text a system line of this page @param {number} [afterId] */
  function say(text, afterId = lastId(messages)) {
    const clientId = newClientId();
    const createdAt = new Date().toISOString();
    const line = note(text, { clientId, createdAt, afterId });
    setMessages(mergeMessages(messages, [line]));
  }

  /** @param {string} what @param {unknown} error */
  function complain(what, error) {
    rethrowOurs(error);
    say(`${what} ${/** @type {ApiError} */ (error).message}`);
  }

  /** The line is back: send what waits, and do not sit out a back-off. */
  function resume() {
    follower?.wake();
    outbox.flush();
  }

  /** @param {Record<string, any>} conversation */
  function applyConversation({ state }) {
    if (state === holder) return;
    const text = holderNote(holder, state);
    holder = state;
    // Often the agent's first words are here before the news that they joined.
    if (text) say(text, state === 'human' ? lastIdBeforeAgent(messages) : undefined);
    else onChange();
  }

  /** @param {Record<string, any>[]} items as the server writes them */
  function merge(items) {
    if (items.length > 0) setMessages(mergeMessages(messages, items.map(fromServer)));
  }

  /** @param {Message[]} next */
  function setMessages(next) {
    messages = next;
    writeExtras(store, chat, messages);
    onChange();
  }
}

/** @param {Message} message */
function isPending(message) {
  return isUnsent(message) && message.delivery !== 'failed';
}

/** Our own mistakes belong into the console, not into the chat. @param {unknown} error */
function rethrowOurs(error) {
  if (!(error instanceof ApiError)) throw error;
}
