/** Who else is writing. Forgotten after a while: the word that it ended may be lost. */

const SHOWN_MS = 7_000;
const TELL_EVERY_MS = 3_000;

/**
 * @param {() => void} onChange
 */
export function createTyping(onChange) {
  /** @type {Map<string, number>} sender → timer */
  const timers = new Map();

  return {
    /** @returns {import('./logic.js').Sender | null} */
    get who() {
      return /** @type {any} */ ([...timers.keys()].at(-1) ?? null);
    },
    /** @param {{ sender: string, typing: boolean }} body */
    hear({ sender, typing }) {
      stop(sender);
      if (typing) timers.set(sender, setTimeout(() => stop(sender) && onChange(), SHOWN_MS));
      onChange();
    },
    /** What somebody was writing has arrived. @param {string} sender */
    stop,
    clear() {
      for (const sender of [...timers.keys()]) stop(sender);
    },
  };

  /** @param {string} sender */
  function stop(sender) {
    clearTimeout(timers.get(sender));
    return timers.delete(sender);
  }
}

/**
 * Tell the others that somebody writes here: now and then while they do, and
 * once when they have stopped.
 *
 * @param {(typing: boolean) => void} tell
 */
export function createTypingTeller(tell) {
  let toldAt = -Infinity;
  let timer = 0;

  return {
    /** @param {string} text what stands in the field */
    wrote(text) {
      clearTimeout(timer);
      if (text.trim() === '') return stop();
      timer = setTimeout(stop, TELL_EVERY_MS * 2);
      if (Date.now() - toldAt < TELL_EVERY_MS) return;
      toldAt = Date.now();
      tell(true);
    },
  };

  function stop() {
    clearTimeout(timer);
    if (toldAt === -Infinity) return;
    toldAt = -Infinity;
    tell(false);
  }
}
