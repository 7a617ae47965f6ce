import { createPause } from './pause.js';
import { backoffMs } from './retry.js';

const OPEN_TIMEOUT_MS = 10_000;
/** The server lets this caller in no more; trying again cannot help. */
const REFUSED = new Set([4401, 4403, 4404]);

/**
 * A WebSocket that comes back by itself until it is stopped or refused. It only
 * brings news: what was missed meanwhile is read by `onOpen`, over REST.
 *
 * @param {{
 *   path: string,
 *   onOpen: () => void,
 *   onEvent: (event: string, body: any) => void,
 *   onLink: (works: boolean) => void,
 *   onRefused: (code: number) => void,
 *   connect?: (path: string) => WebSocket,
 *   random?: () => number,
 * }} options
 */
export function createSocket({
  path,
  onOpen,
  onEvent,
  onLink,
  onRefused,
  connect = connectHere,
  random = Math.random,
}) {
  const pause = createPause();
  /** @type {WebSocket | null} null while there is no connection */
  let live = null;
  let end = (/** @type {number} */ _code) => {};
  let failures = 0;
  let isStopped = false;

  run();
  return {
    get isOpen() {
      return live !== null;
    },
    /** @param {object} frame @returns {boolean} false: there is no connection */
    send(frame) {
      live?.send(JSON.stringify(frame));
      return live !== null;
    },
    /** Do not sit out a back-off. */
    wake: pause.wake,
    /** The browser knows that the line is dead before the socket does. */
    drop: () => end(0),
    stop() {
      isStopped = true;
      end(0);
      pause.wake();
    },
  };

  async function run() {
    while (!isStopped) {
      const code = await once();
      if (isStopped) return;
      if (REFUSED.has(code)) return onRefused(code);
      failures += 1;
      onLink(false);
      await pause.sleep(backoffMs(failures, random()));
    }
  }

  /** One connection, from the upgrade to its end. @returns {Promise<number>} the close code */
  function once() {
    return new Promise((resolve) => {
      const socket = connect(path);
      const timer = setTimeout(() => end(0), OPEN_TIMEOUT_MS);
      end = (code) => {
        clearTimeout(timer);
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        live = null;
        end = () => {};
        resolve(code);
      };
      socket.onopen = () => {
        clearTimeout(timer);
        live = socket;
        failures = 0;
        onLink(true);
        onOpen();
      };
      socket.onmessage = ({ data }) => {
        const { event, body } = JSON.parse(data);
        onEvent(event, body);
      };
      socket.onclose = ({ code }) => end(code);
    });
  }
}

/** @param {string} path */
function connectHere(path) {
  return new WebSocket(new URL(path, location.href.replace(/^http/, 'ws')));
}

/** @typedef {ReturnType<typeof createSocket>} Socket */
