import { ApiError } from './api.js';
import { createPause } from './pause.js';
import { backoffMs } from './retry.js';

const BEAT_MS = 5_000;
const CALM_BEAT_MS = 30_000;

/**
 * Ask every few seconds whether the service is well and who may speak.
 *
 * isOperator: may switch human mode; others learn of it as a part of the health
 * isHidden: nobody looks at the page; isFollowing: its socket is open
 */
export function createHeartbeat({
  api,
  onHealth,
  onHumanMode,
  onRefused,
  onLink,
  isOperator = true,
  isHidden = () => false,
  isFollowing = () => false,
  random = Math.random,
}) {
  const pause = createPause();
  let failures = 0;
  let epoch = 0;
  let refused = !isOperator; // asking again would only fill the console with 403s
  let running = null;

  return {
    async start() {
      for (;;) {
        const works = await probe();
        failures = works ? 0 : failures + 1;
        await pause.sleep(works ? beatMs() : backoffMs(failures, random()));
      }
    },
    wake: pause.wake,
    probe,
    /** Human mode is being switched: ignore the answers asked for before. */
    outdate() {
      epoch += 1;
    },
  };

  /** Thousands of visitors' pages ask; a socket says by itself when the line is cut. */
  function beatMs() {
    return isHidden() || (refused && isFollowing()) ? CALM_BEAT_MS : BEAT_MS;
  }

  /** @returns whether the server answers */
  function probe() {
    running ??= beat().finally(() => {
      running = null;
    });
    return running;
  }

  async function beat() {
    const answers = await Promise.all([health(), humanMode()]);
    const works = answers.every(Boolean);
    onLink(works);
    return works;
  }

  async function health() {
    return reached(async () => {
      const health = await api.health();
      onHealth(health);
      if (refused && typeof health.human_mode === 'boolean') onHumanMode(health.human_mode);
    });
  }

  async function humanMode() {
    if (refused) return true;
    const asked = epoch;
    return reached(
      async () => {
        const status = await api.humanStatus();
        if (asked === epoch) onHumanMode(status.human_mode === true);
      },
      (message) => {
        refused = true;
        onRefused(message);
      },
    );
  }
}

/** @returns {Promise<boolean>} false when the service did not answer */
async function reached(ask, onGone = () => {}) {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.retryable) return false; // a proxy's 502 is no answer of the service
    if (error.gone) onGone(error.message);
  }
  return true;
}
