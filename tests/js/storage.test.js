import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStore } from '../../static/js/storage.js';

function fakeArea() {
  const kept = new Map();
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, text) => kept.set(name, text),
    removeItem: (name) => kept.delete(name),
  };
}

test('what was written is there for the next page', () => {
  const area = fakeArea();

  createStore(() => area).write('chat', { id: 'c_1' });

  assert.deepEqual(createStore(() => area).read('chat'), { id: 'c_1' });
});

test('null forgets', () => {
  const store = createStore(fakeArea);
  store.write('chat', { id: 'c_1' });

  store.write('chat', null);

  assert.equal(store.read('chat'), null);
});

test('without storage it remembers until the page is closed', () => {
  const store = createStore(() => {
    throw new DOMException('denied', 'SecurityError');
  });

  store.write('chat', { id: 'c_1' });
  const remembered = store.read('chat');
  store.write('chat', null);

  assert.deepEqual(remembered, { id: 'c_1' });
  assert.equal(store.read('chat'), null);
});

test('a full disk does not bring back the old value', () => {
  const area = fakeArea();
  const store = createStore(() => area);
  store.write('chat', 'old');
  area.setItem = () => {
    throw new DOMException('full', 'QuotaExceededError');
  };

  store.write('chat', 'new');

  assert.equal(store.read('chat'), 'new');
});

test('what somebody else broke counts as nothing', () => {
  const area = fakeArea();
  area.setItem('chatwoot-bot.chat', '{broken');

  assert.equal(createStore(() => area).read('chat'), null);
});
