import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newClientId } from '../../static/js/random.js';

test('a client id is a UUID, and a new one each time', () => {
  const one = newClientId();

  assert.match(one, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(one, newClientId());
});
