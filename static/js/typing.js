/** Who else is writing. Forgotten after a while: the word that it ended may be lost. */

const SHOWN_MS = 7_000;
const TELL_EVERY_MS = 3_000;

export function createTyping(onChange) {
  /** sender → timer */
  const timers = new Map();

  return {
    get who() {
      return [...timers.keys()].at(-1) ?? null;
    },
    hear({ sender, typing }) {
      stop(sender);
      if (typing) timers.set(sender, setTimeout(() => stop(sender) && onChange(), SHOWN_MS));
      onChange();
    },
    /** What somebody was writing has arrived. */
    stop,
    clear() {
      for (const sender of [...timers.keys()]) stop(sender);
    },
  };

  function stop(sender) {
    clearTimeout(timers.get(sender));
    return timers.delete(sender);
  }
}

/**
 * Tell the others that somebody writes here: now and then while they do, and
 * once when they have stopped.
 */
export function createTypingTeller(tell) {
  let toldAt = -Infinity;
  let timer = 0;

  return {
    /** text: what stands in the field */
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
