import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDesk } from '../../static/js/console/desk.js';
import { createStore } from '../../static/js/storage.js';

const at = (second) => new Date(Date.UTC(2026, 2, 1, 10, 0, second)).toISOString();

/** A service with these conversations, and a desk that the test connects and cuts. */
function desk(t, count, states = {}) {
  const list = Array.from({ length: count }, (_, index) => ({
    id: `c_${index + 1}`,
    state: states[`c_${index + 1}`] ?? 'ai',
    channel: 'web',
    user_id: null,
    name: `Visitor ${index + 1}`,
    active_at: at(60 - index / 10),
    created_at: at(0),
    last_message: null,
  }));
  const world = { asked: [], shown: 0, slow: null };
  const api = {
    conversations: async ({ state, limit }) => {
      const found = list.filter((one) => !state || one.state === state).slice(0, limit);
      const items = found.map((one) => ({ ...one })); // as they are when they are asked for
      await world.slow;
      return { items, next: null };
    },
    conversation: async (id) => ({ ...list.find((one) => one.id === id) }),
    messages: async (id) => {
      world.asked.push(id);
      return { items: [], next: null };
    },
    presence: async () => ({ online: false }),
  };
  const sockets = [];
  const made = createDesk({
    api,
    store: createStore(() => ({ getItem: () => null, setItem: () => {}, removeItem: () => {} })),
    onChange: () => (world.shown += 1),
    onLink: () => {},
    onNews: () => {},
    onRefused: () => {},
    isReachable: async () => true,
    isLookedAt: () => true,
    connect: () => {
      const socket = { send: () => {}, close: () => {} };
      sockets.push(socket);
      return socket;
    },
  });
  made.start();
  t.after(() => made.stop());
  const emit = (event, body) =>
    sockets.at(-1).onmessage({ data: JSON.stringify({ event, body }) });
  return { desk: made, world, list, emit, open, cut, state };

  async function open() {
    sockets.at(-1).onopen();
    await settle();
    sockets.at(-1).onmessage?.({ data: '{"event": "PRESENCE", "body": {}}' });
    await settle();
  }

  async function cut() {
    sockets.at(-1).onclose({ code: 1006 });
    await settle();
    made.resume(); // the heartbeat wakes it
    await settle();
  }

  function state(id) {
    return made.view.list.find((one) => one.id === id)?.state;
  }
}

/** Let promises settle. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

test('who was taken by a colleague meanwhile does not stay waiting', async (t) => {
  const { desk: made, list, open, cut } = desk(t, 2, { c_1: 'handover_pending' });
  await open();
  made.want({ filter: 'handover_pending' });
  await settle();

  await cut();
  list[0].state = 'human';
  await open();

  assert.deepEqual(made.view.list, []);
  assert.equal(made.view.waiting, 0);
});

test('one conversation that moves does not make the news of others old', async (t) => {
  const { list, world, emit, open, cut, state } = desk(t, 2, { c_1: 'handover_pending' });
  await open();
  await cut();
  list[0].state = 'human';
  let answer;
  world.slow = new Promise((resolve) => (answer = resolve));

  await open();
  list[1].state = 'human';
  emit('STATE_CHANGED', { conversation_id: 'c_2', state: 'human', reason: 'agent_joined' });
  answer();
  await settle();

  assert.deepEqual([state('c_1'), state('c_2')], ['human', 'human']);
});

test('takeovers and releases without a word are seen, however old the chat', async (t) => {
  const { desk: made, list, open, cut, state } = desk(t, 80, { c_70: 'human' });
  await open();
  const before = [state('c_70'), state('c_75')];
  await cut();
  list[69].state = 'ai'; // given back
  list[74].state = 'handover_pending';
  await open();

  assert.deepEqual(before, ['human', undefined]);
  assert.deepEqual([state('c_70'), state('c_75')], ['ai', 'handover_pending']);
  assert.equal(made.view.waiting, 1);
});

test('what is written in a chat that is not open shows nothing', async (t) => {
  const { desk: made, world, emit, open } = desk(t, 2);
  await open();
  made.select('c_1');
  await settle();

  const before = world.shown;
  for (let i = 0; i < 33; i += 1) {
    emit('REPLY_CHUNK', { conversation_id: 'c_2', turn_id: 't', text: 'x' });
    emit('TYPING', { conversation_id: 'c_2', sender: 'user', typing: true });
  }
  const other = world.shown;
  emit('REPLY_CHUNK', { conversation_id: 'c_1', turn_id: 't', text: 'x' });

  assert.equal(other, before);
  assert.equal(world.shown, before + 1);
  assert.equal(made.view.transcript.messages.at(-1).content, 'x');
});

test('after a reconnect only what is open is read, the rest when it is opened', async (t) => {
  const { desk: made, world, list, open, cut } = desk(t, 3);
  for (const one of list) one.last_message = { id: 1, sender: 'user', content: 'Hi', created_at: at(1) };
  await open();
  for (const id of ['c_1', 'c_2', 'c_3']) {
    made.select(id);
    await settle();
  }
  await cut();
  world.asked = [];
  await open();
  const after = [...new Set(world.asked)];
  made.select('c_1');
  await settle();

  assert.deepEqual(after, ['c_3']);
  assert.equal(world.asked.includes('c_1'), true);
  assert.equal(world.asked.includes('c_2'), false);
});

test('the transcripts of chats that were looked at long ago are read anew', async (t) => {
  const { desk: made, world, list, open } = desk(t, 30);
  for (const one of list) one.last_message = { id: 1, sender: 'user', content: 'Hi', created_at: at(1) };
  await open();
  for (const { id } of list) {
    made.select(id);
    await settle();
  }
  world.asked = [];
  made.select('c_29');
  await settle();
  const known = world.asked.length;
  made.select('c_1');
  await settle();

  assert.equal(known, 0);
  assert.equal(world.asked.includes('c_1'), true);
});
