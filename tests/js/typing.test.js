import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTyping, createTypingTeller } from '../../static/js/typing.js';

test('somebody is typing until they stop', () => {
  const typing = createTyping(() => {});

  typing.hear({ sender: 'agent', typing: true });
  const during = typing.who;
  typing.hear({ sender: 'agent', typing: false });

  assert.deepEqual([during, typing.who], ['agent', null]);
});

test('whose word that they stopped is lost, is forgotten', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let changes = 0;
  const typing = createTyping(() => (changes += 1));

  typing.hear({ sender: 'agent', typing: true });
  t.mock.timers.tick(7_000);

  assert.equal(typing.who, null);
  assert.equal(changes, 2);
});

test('the others are told now and then, not with every key', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  const told = [];
  const teller = createTypingTeller((typing) => told.push(typing));

  teller.wrote('H');
  teller.wrote('He');
  t.mock.timers.tick(3_000);
  teller.wrote('Hel');

  assert.deepEqual(told, [true, true]);
});

test('who empties the field or does nothing more is no longer typing', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  const told = [];
  const teller = createTypingTeller((typing) => told.push(typing));

  teller.wrote('H');
  teller.wrote('');
  teller.wrote('Hi');
  t.mock.timers.tick(6_000);

  assert.deepEqual(told, [true, false, true, false]);
});
