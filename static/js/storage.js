/**
 * Remember things across reloads. Where the browser refuses (private windows,
 * blocked cookies, a full disk) they are remembered until the page is closed.
 */

const PREFIX = 'chatwoot-bot.';

/**
 * @param {() => Storage} [area] a function, because reading `localStorage` may throw
 */
export function createStore(area = () => globalThis.localStorage) {
  /** @type {Map<string, string>} */
  const memory = new Map();

  return {
    /** @param {string} name @returns {any} null when nothing usable is there */
    read(name) {
      try {
        return JSON.parse(memory.get(name) ?? area().getItem(PREFIX + name) ?? 'null');
      } catch {
        return null;
      }
    },

    /** @param {string} name @param {unknown} value null forgets it */
    write(name, value) {
      const text = JSON.stringify(value);
      try {
        if (value === null) area().removeItem(PREFIX + name);
        else area().setItem(PREFIX + name, text);
        memory.delete(name);
      } catch {
        memory.set(name, text);
      }
    },
  };
}

/** @typedef {ReturnType<typeof createStore>} Store */
