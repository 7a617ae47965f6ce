import { ApiError } from './api.js';
import { backoffMs } from './retry.js';

const TRIES = 3;

/**
 * Send messages one after the other, so they arrive in the order they were
 * written. Trying again is safe: the server stores a client id once.
 *
 * next: the oldest message that still has to go out
 */
export function createOutbox({
  next,
  post,
  mark,
  isReachable,
  sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random = Math.random,
}) {
  let isRunning = false;

  return { flush };

  /** Send what can be sent; harmless at any time. */
  async function flush() {
    if (isRunning) return;
    isRunning = true;
    try {
      for (let message = next(); message; message = next()) {
        if (!(await deliver(message))) return;
      }
    } finally {
      isRunning = false;
    }
  }

  /** @returns false: the line is down */
  async function deliver(message) {
    let problem = '';
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      // The socket may have confirmed it meanwhile, or the visitor started over.
      if (next()?.clientId !== message.clientId) return true;
      mark(message, 'sending');
      try {
        await post(message);
        return true;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        problem = error.message;
        if (!error.retryable && !error.gone) break;
        if (!(await isReachable())) {
          mark(message, 'waiting');
          return false;
        }
        if (attempt < TRIES) await sleep(backoffMs(attempt, random()));
      }
    }
    mark(message, 'failed', problem);
    return true;
  }
}
