import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  firstId,
  fromServer,
  isUnsent,
  lastId,
  lastIdBeforeAgent,
  markDelivery,
  mergeMessages,
  note,
  outgoing,
  toRows,
  typingUntil,
  TYPING_LIMIT_MS,
} from '../../static/js/logic.js';

const NOON = Date.parse('2026-03-02T12:00:00Z');
const at = (minutes) => new Date(NOON + minutes * 60_000).toISOString();
const stored = (id, changes = {}) => ({
  ...fromServer({ id, sender: 'user', content: `m${id}`, created_at: at(id) }),
  ...changes,
});
const unsent = (clientId, changes = {}) => ({
  ...outgoing('hi', { clientId, createdAt: at(0) }),
  ...changes,
});
const line = (clientId, afterId) => note('said', { clientId, createdAt: at(0), afterId });
const ids = (messages) => messages.map((message) => message.id ?? message.clientId);

test('the server’s copy replaces the one shown while sending', () => {
  const merged = mergeMessages([unsent('a')], [stored(5, { clientId: 'a' })]);

  assert.deepEqual(merged, [stored(5, { clientId: 'a' })]);
});

test('a message repeated after a reconnect appears once', () => {
  assert.deepEqual(mergeMessages([stored(5)], [stored(5), stored(5)]), [stored(5)]);
});

test('a copy without our client id keeps it, so its row is not made anew', () => {
  const merged = mergeMessages([stored(5, { clientId: 'a' })], [stored(5)]);

  assert.equal(merged[0].clientId, 'a');
});

test('the socket may bring our message without client id before the answer comes', () => {
  const pushed = mergeMessages([unsent('a')], [stored(5)]);
  const answered = mergeMessages(pushed, [stored(5, { clientId: 'a', sentAt: 1 })]);

  assert.deepEqual(ids(pushed), [5, 'a']);
  assert.deepEqual(answered, [stored(5, { clientId: 'a', sentAt: 1 })]);
});

test('a later copy does not forget when we were told that it arrived', () => {
  const merged = mergeMessages([stored(5, { sentAt: 7 })], [stored(5)]);

  assert.equal(merged[0].sentAt, 7);
});

test('an edited or deleted message changes in place', () => {
  const gone = stored(1, { content: null, deletedAt: at(9) });

  assert.deepEqual(mergeMessages([stored(1), stored(2)], [gone]), [gone, stored(2)]);
});

test('order is by id whatever order they come in, and what is unsent is last', () => {
  const merged = mergeMessages([unsent('a'), unsent('b')], [stored(9), stored(3)]);

  assert.deepEqual(ids(merged), [3, 9, 'a', 'b']);
});

test('a note keeps its place after the message it followed', () => {
  const before = mergeMessages([stored(1), unsent('a')], [line('note', 1)]);
  const after = mergeMessages(before, [stored(2, { clientId: 'a' })]);

  assert.deepEqual(ids(before), [1, 'note', 'a']);
  assert.deepEqual(ids(after), [1, 'note', 2]);
});

test('notes after the same message stay in the order they were written', () => {
  const merged = mergeMessages([line('one', 0), line('two', 0)], [line('three', 0)]);

  assert.deepEqual(ids(merged), ['one', 'two', 'three']);
});

test('merging does not change the list it was given', () => {
  const shown = [unsent('a')];

  mergeMessages(shown, [stored(1, { clientId: 'a' })]);

  assert.deepEqual(shown, [unsent('a')]);
});

test('a message as the server writes it, with and without the optional fields', () => {
  const wire = {
    id: 12,
    conversation_id: 'c_1',
    sender: 'ai',
    content: null,
    created_at: at(0),
    client_id: 'x',
    edited_at: at(1),
    deleted_at: at(2),
  };

  const message = fromServer(wire);

  assert.equal(message.clientId, 'x');
  assert.equal(message.editedAt, at(1));
  assert.equal(message.deletedAt, at(2));
  assert.equal(message.content, null);
  assert.equal(message.delivery, 'sent');
  assert.equal(stored(1).clientId, null);
});

test('a failure is shown on the message, with its reason', () => {
  const [failed] = markDelivery([unsent('a')], 'a', 'failed', 'Too long.');

  assert.deepEqual([failed.delivery, failed.problem], ['failed', 'Too long.']);
});

test('trying again forgets the reason', () => {
  const [again] = markDelivery([unsent('a', { problem: 'Too long.' })], 'a', 'sending');

  assert.equal(again.problem, null);
});

test('a late failure does not undo what the socket has confirmed', () => {
  const confirmed = [stored(5, { clientId: 'a' })];

  assert.deepEqual(markDelivery(confirmed, 'a', 'failed', 'Timeout.'), confirmed);
});

test('notes are not waiting to be sent', () => {
  assert.equal(isUnsent(line('n', 0)), false);
  assert.equal(isUnsent(unsent('a')), true);
  assert.equal(isUnsent(stored(1)), false);
});

test('first and last id look past notes and unsent messages', () => {
  const messages = [line('n', 0), stored(4), stored(7), unsent('a')];

  assert.equal(firstId(messages), 4);
  assert.equal(lastId(messages), 7);
  assert.equal(firstId([]), null);
  assert.equal(lastId([]), 0);
});

test('the place before an agent’s first words', () => {
  const agent = (id) => stored(id, { sender: 'agent' });

  assert.equal(lastIdBeforeAgent([stored(1), agent(2), agent(3), unsent('a')]), 1);
  assert.equal(lastIdBeforeAgent([agent(1), stored(2)]), 2);
  assert.equal(lastIdBeforeAgent([agent(1)]), 0);
});

const dayOf = (iso) => iso.slice(0, 10);
const starts = (messages) =>
  toRows(messages, { dayOf })
    .filter((row) => row.kind === 'message')
    .map((row) => row.starts);

test('messages of one sender in a row share a heading', () => {
  const rows = starts([
    stored(1),
    stored(2),
    stored(3, { sender: 'ai' }),
    stored(4, { sender: 'ai' }),
    stored(5, { sender: 'agent' }),
  ]);

  assert.deepEqual(rows, [true, false, true, false, true]);
});

test('a pause starts a new group', () => {
  const rows = starts([
    stored(1, { createdAt: at(0) }),
    stored(2, { createdAt: at(4.9) }),
    stored(3, { createdAt: at(9.9) }),
  ]);

  assert.deepEqual(rows, [true, false, true]);
});

test('system lines are never grouped', () => {
  assert.deepEqual(starts([line('a', 0), line('b', 0)]), [true, true]);
});

test('each new day gets a separator and a new heading', () => {
  const late = stored(1, { createdAt: '2026-03-01T23:59:00Z' });
  const early = stored(2, { createdAt: '2026-03-02T00:01:00Z' });

  const rows = toRows([late, early], { dayOf });

  assert.deepEqual(rows.map((row) => row.kind), ['day', 'message', 'day', 'message']);
  assert.equal(rows[3].starts, true);
});

test('every row has a key of its own, also when days alternate', () => {
  const rows = toRows(
    [stored(1), stored(2, { createdAt: at(9_000) }), stored(3), unsent('a')],
    { dayOf },
  );

  assert.equal(new Set(rows.map((row) => row.key)).size, rows.length);
});

test('a message keeps its key when the server confirms it', () => {
  const [, before] = toRows([unsent('a')], { dayOf });
  const [, after] = toRows([stored(5, { clientId: 'a' })], { dayOf });

  assert.equal(before.key, after.key);
});

test('only the newest own message says that it was sent', () => {
  const shows = (messages) =>
    toRows(messages, { dayOf })
      .filter((row) => row.kind === 'message')
      .map((row) => row.showsSent);

  assert.deepEqual(shows([stored(1), stored(2), stored(3, { sender: 'ai' })]), [
    false,
    true,
    false,
  ]);
  assert.deepEqual(shows([stored(1), unsent('a')]), [false, false]);
  assert.deepEqual(shows([]), []);
});

const BOT = { holder: 'ai', humanMode: false };

test('the bot types after a question, until it has answered', () => {
  const asked = [stored(1, { sentAt: 1_000 })];

  assert.equal(typingUntil(asked, BOT), 1_000 + TYPING_LIMIT_MS);
  assert.equal(typingUntil([...asked, stored(2, { sender: 'ai' })], BOT), null);
  assert.equal(typingUntil([...asked, stored(2, { sender: 'agent' })], BOT), null);
});

test('after a reload the server’s time of the question counts', () => {
  assert.equal(typingUntil([stored(1)], BOT), Date.parse(at(1)) + TYPING_LIMIT_MS);
});

test('nobody types while a human holds the chat or human mode is on', () => {
  for (const facts of [
    { holder: 'human', humanMode: false },
    { holder: 'handover_pending', humanMode: false },
    { holder: 'ai', humanMode: true },
  ]) {
    assert.equal(typingUntil([stored(1)], facts), null);
  }
});

test('what has not arrived, notes and deleted questions are not being answered', () => {
  assert.equal(typingUntil([], BOT), null);
  assert.equal(typingUntil([unsent('a')], BOT), null);
  assert.equal(typingUntil([stored(1, { deletedAt: at(2) })], BOT), null);
  assert.notEqual(typingUntil([stored(1), line('n', 1)], BOT), null);
});
