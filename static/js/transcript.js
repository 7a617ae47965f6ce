import { ApiError } from './api.js';
import { createDrafts } from './drafts.js';
import { firstId, fromServer, isNote, mergeMessages } from './logic.js';
import { createTyping } from './typing.js';


const PAGE_SIZE = 50;
const MISSED_SIZE = 200;

/**
 * The messages of one conversation: read page by page, kept up to date by the
 * socket's events, and made whole again after the line was cut. No DOM.
 *
 * messages: what is known already; onGone: the server refuses to show it
 */
export function createTranscript({
  messages = [],
  readConversation,
  readMessages,
  onChange,
  onConversation,
  onGone,
}) {
  let hasOlder = false;
  let isLoading = false;
  let isLoadingOlder = false;
  let isClosed = false;
  /** Up to here nothing is missing; the answer to our own message may be ahead of it. */
  let readTo = 0;
  let cuts = 0;
  let moves = 0;
  let isBehind = true;
  const drafts = createDrafts();
  const typing = createTyping(() => !isClosed && onChange());

  return {
    get view() {
      return { messages: [...shown(), ...drafts.all], hasOlder, isLoading, typing: typing.who };
    },
    get messages() {
      return messages;
    },
    get isBehind() {
      return isBehind;
    },
    change(next) {
      messages = next(messages);
      onChange();
    },
    /** It is on the server, and nothing of it has been read. */
    load() {
      isLoading = true;
    },
    /** The line was cut, or is new: events are missing. */
    cut() {
      cuts += 1;
      isBehind = true;
      drafts.clear();
    },
    /** Somebody else holds it: what was asked for before is out of date. */
    moved() {
      moves += 1;
    },
    catchUp,
    loadOlder,
    receive,
    close() {
      isClosed = true;
      typing.clear();
    },
  };

  /** A note about messages that are not read yet would stand out of place. */
  function shown() {
    if (!hasOlder) return messages;
    const first = firstId(messages) ?? 0;
    return messages.filter((one) => !isNote(one) || (one.afterId ?? 0) >= first);
  }

  /** Read what the socket could not bring. isFollowing: it brings the rest */
  async function catchUp(isFollowing) {
    const before = cuts;
    try {
      const wasLoading = isLoading;
      if (isLoading) await readNewest();
      if (!isClosed) await readMissed(!wasLoading);
      if (isFollowing && before === cuts) isBehind = false;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // our own mistake: show it
      if (error.gone && !isClosed) onGone();
    }
  }

  /** The newest page first, so a long chat is on the screen at once. */
  async function readNewest() {
    const before = moves;
    const conversation = await readConversation();
    const newest = conversation.last_message?.id ?? 0;
    const wanted = { before: newest + 1, size: PAGE_SIZE };
    const page = newest ? await readMessages(wanted) : { items: [], next: null };
    if (isClosed) return;
    readTo = Math.max(readTo, newest);
    hasOlder = page.next !== null;
    isLoading = false;
    messages = mergeMessages(messages, page.items.map(fromServer));
    if (before === moves) onConversation(conversation);
    onChange();
  }

  /** again: what is known may have changed meanwhile */
  async function readMissed(again) {
    const before = moves;
    const conversation = again ? await readConversation() : null;
    if (again) merge((await readMessages({ before: readTo + 1, size: PAGE_SIZE })).items);
    for (let hasMore = true; hasMore && !isClosed; ) {
      const { items, next } = await readMessages({ after: readTo, size: MISSED_SIZE });
      merge(items);
      readTo = Math.max(readTo, items.at(-1)?.id ?? 0);
      hasMore = next !== null;
    }
    if (conversation && before === moves && !isClosed) onConversation(conversation);
  }

  async function loadOlder() {
    const before = firstId(messages);
    if (!hasOlder || isLoadingOlder || before === null) return;
    isLoadingOlder = true;
    try {
      const { items, next } = await readMessages({ before, size: PAGE_SIZE });
      hasOlder = next !== null;
      merge(items);
      onChange();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the button is still there
    } finally {
      isLoadingOlder = false;
    }
  }

  function receive(event, body) {
    if (event === 'NEW_MESSAGE') {
      if (!isBehind) readTo = Math.max(readTo, body.id);
      typing.stop(body.sender);
      messages = mergeMessages(messages, [drafts.finish(fromServer(body))]);
    } else if (event === 'MESSAGE_UPDATED' || event === 'MESSAGE_DELETED') {
      return merge([body].filter(({ id }) => messages.some((known) => known.id === id)));
    } else if (event === 'REPLY_CHUNK') drafts.append(body);
    else if (event === 'REPLY_DROPPED') drafts.drop(body.turn_id);
    else if (event === 'TYPING') return typing.hear(body);
    else return;
    onChange();
  }

  /** items: as the server writes them */
  function merge(items) {
    if (items.length === 0 || isClosed) return;
    messages = mergeMessages(messages, items.map(fromServer));
    onChange();
  }
}
