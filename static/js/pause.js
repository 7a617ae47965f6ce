/**
 * A wait that can be cut short: when the browser comes back online or the page
 * is looked at again, nobody wants to sit out the rest of a back-off.
 */
export function createPause() {
  const sleeping = new Set();

  return {
    sleep(ms) {
      return new Promise((resolve) => {
        const end = () => {
          clearTimeout(timer);
          sleeping.delete(end);
          resolve();
        };
        const timer = setTimeout(end, ms);
        sleeping.add(end);
      });
    },

    wake() {
      for (const end of [...sleeping]) end();
    },
  };
}
