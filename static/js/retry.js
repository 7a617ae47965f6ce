/** When to try again. Pure: the caller brings the dice and does the waiting. */

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * Exponential back-off with half of it random, so that a thousand pages do not
 * come back in the same second after a restart.
 *
 * @param failures in a row, from 1
 * @param random in [0, 1)
 * @returns {number} ms
 */
export function backoffMs(failures, random) {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}
