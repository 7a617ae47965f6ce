import { createPause } from './pause.js';
import { backoffMs } from './retry.js';

const OPEN_TIMEOUT_MS = 10_000;
/** The server lets this caller in no more; trying again cannot help. */
const REFUSED = new Set([4401, 4403, 4404]);

/**
 * A WebSocket that comes back by itself until it is stopped or refused. It only
 * brings news: what was missed meanwhile is read by `onOpen`, over REST.
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
  /** null while there is no connection */
  let live = null;
  let end = (_code) => {};
  let failures = 0;
  let isStopped = false;

  run();
  return {
    get isOpen() {
      return live !== null;
    },
    /** @returns false: there is no connection */
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

  /** One connection, from the upgrade to its end. @returns the close code */
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

function connectHere(path) {
  return new WebSocket(new URL(path, location.href.replace(/^http/, 'ws')));
}
