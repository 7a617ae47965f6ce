import assert from 'node:assert/strict';
import { test } from 'node:test';
import { conversationFrom, listed, movedTo, unreadOf } from '../../static/js/console/deskLogic.js';
import * as words from '../../static/js/console/deskWords.js';

const conversation = (changes) =>
  conversationFrom({
    id: 'c_1',
    state: 'ai',
    channel: 'web',
    name: null,
    user_id: 'u_12345678',
    active_at: '2026-03-01T10:00:00.000Z',
    created_at: '2026-03-01T09:00:00.000Z',
    last_message: null,
    ...changes,
  });
const said = (id, sender, content = 'Hi') => ({ id, sender, content, created_at: '2026-03-01T10:00:00Z' });
const names = (all, wanted = {}) => listed(all, { filter: '', query: '', ...wanted }).map(({ id }) => id);

test('who waits for a human comes first, then the newest activity', () => {
  const all = [
    conversation({ id: 'old', active_at: '2026-03-01T08:00:00Z' }),
    conversation({ id: 'new', active_at: '2026-03-01T12:00:00Z' }),
    conversation({ id: 'held', state: 'human', active_at: '2026-03-01T11:00:00Z' }),
    conversation({ id: 'waits', state: 'handover_pending', active_at: '2026-03-01T07:00:00Z' }),
  ];

  assert.deepEqual(names(all), ['waits', 'new', 'held', 'old']);
  assert.deepEqual(names(all, { filter: 'human' }), ['held']);
});

test('the search looks at names and last words, in any case', () => {
  const all = [
    conversation({ id: 'a', name: 'Maria Lopez' }),
    conversation({ id: 'b', last_message: said(1, 'user', 'Where is my PARCEL?') }),
    conversation({ id: 'c', last_message: { ...said(2, 'user'), content: null } }),
  ];

  assert.deepEqual(names(all, { query: 'maria ' }), ['a']);
  assert.deepEqual(names(all, { query: 'parcel' }), ['b']);
  assert.deepEqual(names(all, { query: 'nobody' }), []);
});

test('nameless visitors can be told apart', () => {
  assert.equal(conversation({}).name, 'Visitor 5678');
  assert.equal(conversation({ user_id: null }).name, 'Visitor');
});

test('unread is what a contact wrote since somebody looked', () => {
  const waiting = conversation({ state: 'handover_pending', last_message: said(7, 'user') });

  assert.equal(unreadOf(waiting, 3, 4), 3);
  assert.equal(unreadOf(waiting, 0, 4), 1);
  assert.equal(unreadOf(waiting, 0, undefined), 1);
  assert.equal(unreadOf(waiting, 0, 7), 0);
});

test('what the bot has answered need not be read', () => {
  assert.equal(unreadOf(conversation({ last_message: said(8, 'ai') }), 2, 1), 0);
  const held = conversation({ state: 'human', last_message: said(8, 'agent') });
  assert.equal(unreadOf(held, 2, 1), 2);
});

test('arrow keys walk the list and stop at its ends', () => {
  const ids = ['a', 'b', 'c'];

  assert.equal(movedTo(ids, 'a', 'ArrowDown'), 'b');
  assert.equal(movedTo(ids, 'c', 'ArrowDown'), 'c');
  assert.equal(movedTo(ids, 'b', 'ArrowUp'), 'a');
  assert.equal(movedTo(ids, 'a', 'ArrowUp'), 'a');
  assert.equal(movedTo(ids, null, 'ArrowDown'), 'a');
  assert.equal(movedTo(ids, 'b', 'Home'), 'a');
  assert.equal(movedTo(ids, 'b', 'End'), 'c');
  assert.equal(movedTo(ids, 'b', 'x'), null);
  assert.equal(movedTo([], null, 'ArrowDown'), null);
});

test('what an agent may do follows from who holds the conversation', () => {
  const labels = (state) => words.moves(state).map(({ label }) => label);

  assert.deepEqual(labels('ai'), ['Take over', 'Resolve']);
  assert.deepEqual(labels('handover_pending'), ['Take over', 'Give back to bot', 'Resolve']);
  assert.deepEqual(labels('human'), ['Give back to bot', 'Resolve']);
});

test('a reason that nobody has named yet is still readable', () => {
  assert.equal(words.reasonText('asked_for_human'), 'Asked for a human');
  assert.equal(words.reasonText('some_new_rule'), 'Some new rule');
  assert.equal(words.reasonText(null), '');
});

test('the last line says who wrote it, and fits on one', () => {
  assert.equal(words.lastLine(null), 'No messages yet');
  assert.equal(words.lastLine({ sender: 'ai', content: 'one\ntwo' }), 'Bot: one two');
  assert.equal(words.lastLine({ sender: 'user', content: null }), 'Message deleted');
});

test('a time in the list is as short as it can be', () => {
  const now = Date.parse('2026-03-01T12:00:00Z');
  const ago = (minutes) => words.shortTime(new Date(now - minutes * 60_000).toISOString(), now);

  assert.equal(ago(0), 'now');
  assert.equal(ago(12), '12 min');
  assert.equal(ago(40 * 24 * 60), new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' }).format(now - 40 * 86_400_000));
});

test('a price is exact enough for a few tokens', () => {
  assert.equal(words.moneyText(null, 'USD'), '–');
  assert.match(words.moneyText(0.000123, 'USD'), /0[.,]00012/);
  assert.match(words.moneyText(12.5, 'EUR'), /12[.,]50/);
  assert.match(words.moneyText(0, 'USD'), /0[.,]00/);
});

test('what today took is said once there is something', () => {
  assert.equal(words.todayText({ tokens: 0, cost: 0 }, 'USD'), '');
  assert.match(words.todayText({ tokens: 12, cost: 0 }, 'USD'), /^Today: 12 tokens$/);
  assert.match(words.todayText({ tokens: 12, cost: 0.5 }, 'USD'), /tokens · .*0[.,]5/);
});

const CIRCUITS = [
  [{ circuit: 'closed', last_error: null }, 'Model: well', 'good'],
  [{ circuit: 'closed', last_error: '401' }, 'Model: failed (401)', 'bad'],
  [{ circuit: 'half_open', last_error: '503' }, 'Model: trying again', 'warn'],
  [{ circuit: 'open', last_error: '503' }, 'Model: failing', 'bad'],
  [undefined, 'Model: well', 'good'],
];

for (const [part, text, tone] of CIRCUITS) {
  test(`circuit chip of ${JSON.stringify(part)}`, () => {
    assert.deepEqual(words.circuitChip('Model', part), { text, tone });
  });
}
