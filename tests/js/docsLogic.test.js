import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fieldsOf, pieces, typeOf } from '../../static/js/docsLogic.js';

test('a type reads as words', () => {
  assert.equal(typeOf({ type: 'string' }), 'text');
  assert.equal(typeOf({ anyOf: [{ type: 'integer' }, { type: 'null' }] }), 'whole number or null');
  assert.equal(typeOf({ type: 'array', items: { $ref: '#/components/schemas/MessageOut' } }), 'list of MessageOut');
  assert.equal(typeOf({ enum: ['ai', 'human'] }), '"ai", "human"');
  assert.equal(typeOf({}), 'anything');
});

test('a field says whether it may be left out', () => {
  const schema = {
    properties: { id: { type: 'string' }, reason: { type: 'string', description: 'Why.' } },
    required: ['id'],
  };
  assert.deepEqual(fieldsOf(schema), [
    ['id', 'text', ''],
    ['reason', 'text', 'optional. Why.'],
  ]);
});

test('what stands between backticks is code', () => {
  assert.deepEqual(pieces('With `Prefer: wait` and `after`, wait.'), [
    { text: 'With ', isCode: false },
    { text: 'Prefer: wait', isCode: true },
    { text: ' and ', isCode: false },
    { text: 'after', isCode: true },
    { text: ', wait.', isCode: false },
  ]);
});
