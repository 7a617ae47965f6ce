import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDesk } from '../../static/js/console/desk.js';
import { createStore } from '../../static/js/storage.js';

const AT = '2026-03-01T10:00:00.000Z';
const said = (id, sender, content, changes) => ({
  id,
  conversation_id: 'c_1',
  sender,
  content,
  created_at: AT,
  client_id: null,
  ...changes,
});

/** A desk whose server answers from `world`, and whose socket the test holds. */
function desk(t, changes = {}) {
  const world = {
    conversation: { id: 'c_1', state: 'ai', channel: 'web', user_id: 'u_1', name: 'Maria' },
    messages: [said(1, 'user', 'Hi')],
    news: [],
    refused: 0,
    ...changes,
  };
  const view = () => ({
    ...world.conversation,
    active_at: AT,
    created_at: AT,
    last_message: world.messages.at(-1) ?? null,
  });
  const api = {
    conversations: async () => ({ items: world.hidden ? [] : [view()], next: null }),
    conversation: async () => view(),
    messages: async (id, { after, before }) => ({
      items: world.messages.filter((one) => (before ? one.id < before : one.id > after)),
      next: null,
    }),
    presence: async () => ({ online: true }),
    say: async (id, { content, clientId }) => {
      const message = said(world.messages.length + 1, 'agent', content, { client_id: clientId });
      world.messages.push(message);
      return message;
    },
    move: async () => ({ ...view(), state: 'human' }),
  };
  const socket = { send: () => {}, close: () => {} };
  const made = createDesk({
    api,
    store: createStore(() => ({ getItem: () => null, setItem: () => {}, removeItem: () => {} })),
    onChange: () => {},
    onLink: () => {},
    onNews: (text) => world.news.push(text),
    onRefused: () => (world.refused += 1),
    isReachable: async () => true,
    isLookedAt: () => true,
    connect: () => socket,
  });
  made.start();
  t.after(() => made.stop());
  const emit = (event, body) => socket.onmessage({ data: JSON.stringify({ event, body }) });
  return { desk: made, world, socket, emit };
}

/** Let promises settle. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

async function opened(t, changes) {
  const all = desk(t, changes);
  all.socket.onopen();
  await settle();
  all.desk.select('c_1');
  await settle();
  return all;
}

const texts = ({ view }) => view.transcript.messages.map(({ content }) => content);

test('the list and an opened conversation are read', async (t) => {
  const { desk } = await opened(t);

  assert.deepEqual(desk.view.list.map(({ name }) => name), ['Maria']);
  assert.deepEqual(texts(desk), ['Hi']);
  assert.equal(desk.view.isOnline, true);
});

test('what a contact writes into the open chat is read', async (t) => {
  const { desk, emit } = await opened(t);

  emit('NEW_MESSAGE', said(2, 'user', 'Hello?'));
  assert.equal(desk.view.list[0].unread, 0);
  assert.deepEqual(texts(desk), ['Hi', 'Hello?']);
});

test('who starts to wait is announced once, also in a chat not listed yet', async (t) => {
  const { emit, world } = await opened(t);

  emit('STATE_CHANGED', { conversation_id: 'c_1', state: 'handover_pending', reason: 'x' });
  emit('STATE_CHANGED', { conversation_id: 'c_1', state: 'handover_pending', reason: 'x' });
  assert.deepEqual(world.news, ['Maria is waiting for a human.']);

  const other = desk(t, { hidden: true });
  other.socket.onopen();
  await settle();
  other.world.conversation.state = 'handover_pending';
  other.emit('STATE_CHANGED', { conversation_id: 'c_1', state: 'handover_pending', reason: 'x' });
  await settle();
  assert.deepEqual(other.world.news, ['Maria is waiting for a human.']);
});

test('an answer is shown at once and confirmed', async (t) => {
  const { desk } = await opened(t);

  desk.send('Hello Maria');
  const shown = desk.view.transcript.messages.at(-1);
  await settle();

  assert.deepEqual([shown.sender, shown.delivery], ['agent', 'sending']);
  assert.equal(desk.view.transcript.messages.at(-1).id, 2);
  assert.equal(desk.view.transcript.messages.length, 2);
});

test('a list read before a change does not undo it', async (t) => {
  const { desk, emit, socket } = await opened(t);

  socket.onopen(); // reads the list again
  emit('STATE_CHANGED', { conversation_id: 'c_1', state: 'human', reason: 'agent_joined' });
  await settle();

  assert.equal(desk.view.selected.state, 'human');
});

test('a refused socket ends the desk', async (t) => {
  const { socket, world } = await opened(t);

  socket.onclose({ code: 4401 });
  await settle();

  assert.equal(world.refused, 1);
});
