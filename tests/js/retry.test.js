import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from '../../static/js/retry.js';

test('each failure waits longer, up to a ceiling', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 50, 5_000].map((failures) => backoffMs(failures, 0.5));

  assert.deepEqual(waits, [375, 750, 1500, 3000, 6000, 11250, 11250, 11250, 11250]);
});

test('half of the wait is random, so a thousand pages do not come back at once', () => {
  assert.equal(backoffMs(3, 0), 1000);
  assert.equal(backoffMs(3, 0.999_999), 2000);
});
