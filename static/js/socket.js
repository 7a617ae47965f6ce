import { createPause } from './pause.js';
import { backoffMs } from './retry.js';

const OPEN_TIMEOUT_MS = 10_000;
/** The server lets this caller in no more; trying again cannot help. */
const REFUSED = new Set([4401, 4403, 4404]);
/** A refusal comes right after the upgrade, where a browser can read its code. */
const REFUSAL_MS = 250;
/** An event, or this long without an end, is a line that works. */
const STEADY_MS = 5_000;

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
      const timers = [setTimeout(() => end(0), OPEN_TIMEOUT_MS)];
      let isUp = false;
      end = (code) => {
        timers.forEach(clearTimeout);
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close();
        live = null;
        end = () => {};
        resolve(code);
      };
      socket.onopen = () => {
        clearTimeout(timers[0]);
        live = socket;
        timers.push(setTimeout(steady, STEADY_MS));
        // After a failure the next one is likely: nothing is read for a line that is refused.
        if (failures === 0) up();
        else timers.push(setTimeout(up, REFUSAL_MS));
      };
      const up = () => {
        if (isUp) return;
        isUp = true;
        onLink(true);
        onOpen();
      };
      const steady = () => {
        failures = 0;
        up();
      };
      socket.onmessage = ({ data }) => {
        steady();
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
