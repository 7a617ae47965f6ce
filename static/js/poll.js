import { ApiError } from './api.js';
import { createPause } from './pause.js';
import { backoffMs, emptyPollMs } from './retry.js';

const WAIT_S = 25;
const PAGE_SIZE = 100;
const QUICK_MS = 1_000;
// A browser opens six connections per host. Tabs in the background must not
// sit on all of them, so they ask now and then instead of waiting on the line.
const HIDDEN_MS = 5_000;

/**
 * Follow one conversation by long polling until told to stop.
 *
 * @param {{
 *   api: import('./api.js').Api,
 *   chat: import('./api.js').Chat,
 *   open: ((signal: AbortSignal) => Promise<void>) | null,
 *   lastId: () => number,
 *   onMessages: (items: Record<string, any>[]) => void,
 *   onConversation: (conversation: Record<string, any>) => void,
 *   onLink: (works: boolean) => void,
 *   onGone: () => void,
 *   isHidden?: () => boolean,
 *   random?: () => number,
 * }} options open: reads what is there already, tried until it works
 */
export function followConversation({
  api,
  chat,
  open,
  lastId,
  onMessages,
  onConversation,
  onLink,
  onGone,
  isHidden = () => false,
  random = Math.random,
}) {
  const pause = createPause();
  const stop = new AbortController();
  let failures = 0;
  let quickEmpty = 0;
  let isOpen = open === null;

  run();
  return {
    stop: () => {
      stop.abort();
      pause.wake();
    },
    wake: pause.wake,
  };

  async function run() {
    while (!stop.signal.aborted) {
      try {
        await (isOpen ? poll() : first());
      } catch (error) {
        if (stop.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error; // our own mistake: show it
        if (error.gone) return onGone();
        failures += 1;
        onLink(false);
        await pause.sleep(backoffMs(failures, random()));
      }
    }
  }

  async function first() {
    await open?.(stop.signal);
    isOpen = true;
    failures = 0;
    onLink(true);
  }

  async function poll() {
    const hidden = isHidden();
    // After a failure ask without waiting, so the page knows at once that the
    // line is back and not 25 seconds later.
    const waitS = failures > 0 || hidden ? 0 : WAIT_S;
    const asked = Date.now();
    const items = await askOnce(waitS);
    if (stop.signal.aborted) return;
    const wasDown = failures > 0;
    failures = 0;
    onLink(true);
    onMessages(items);
    if (wasDown) return; // now wait on the line again
    const isQuickEmpty = items.length === 0 && Date.now() - asked < QUICK_MS;
    quickEmpty = isQuickEmpty ? quickEmpty + 1 : 0;
    await pause.sleep(hidden ? HIDDEN_MS : emptyPollMs(quickEmpty));
  }

  /**
   * Wait for news, and read the state while waiting: a change before that read
   * is in it, and one after it ends the wait. Read in between, it could be missed.
   *
   * @param {number} waitS
   */
  async function askOnce(waitS) {
    const both = new AbortController();
    const signal = AbortSignal.any([stop.signal, both.signal]);
    const page = { after: lastId(), size: PAGE_SIZE, waitS, signal };
    try {
      const [{ items }] = await Promise.all([api.messages(chat, page), readState(signal)]);
      return items;
    } finally {
      both.abort(); // one has failed: do not leave the other on the line
    }
  }

  /** @param {AbortSignal} signal */
  async function readState(signal) {
    const conversation = await api.conversation(chat, signal);
    if (!signal.aborted) onConversation(conversation);
  }
}
