/**
 * Remember things across reloads. Where the browser refuses (private windows,
 * blocked cookies, a full disk) they are remembered until the page is closed.
 */

const PREFIX = 'chatwoot-bot.';

/** @param area a function, because reading `localStorage` may throw */
export function createStore(area = () => globalThis.localStorage) {
  const memory = new Map();

  return {
    /** @returns null when nothing usable is there */
    read(name) {
      try {
        return JSON.parse(memory.get(name) ?? area().getItem(PREFIX + name) ?? 'null');
      } catch {
        return null;
      }
    },

    /** value: null forgets it */
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
