import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as words from '../../static/js/words.js';

const link = (changes) => ({ browserOnline: true, heartbeat: true, socket: true, ...changes });

const LINKS = [
  [{}, 'online', 'Connected'],
  [{ socket: null }, 'online', 'Connected'],
  [{ heartbeat: null }, 'online', 'Connected'],
  [{ heartbeat: null, socket: null }, 'connecting', 'Connecting…'],
  [{ socket: false }, 'reconnecting', 'Reconnecting…'],
  [{ heartbeat: false, socket: null }, 'reconnecting', 'Reconnecting…'],
  [{ browserOnline: false, socket: false }, 'offline', 'You are offline'],
];

for (const [changes, state, text] of LINKS) {
  test(`the connection is ${state} with ${JSON.stringify(changes)}`, () => {
    assert.equal(words.linkState(link(changes)), state);
    assert.equal(words.connectionStatus(link(changes), null).text, text);
  });
}

test('a service that is not ready says so, and which part', () => {
  const health = { status: 'not_ready', database: { ok: true }, worker: { ok: false } };

  const status = words.connectionStatus(link({}), health);

  assert.deepEqual(status, {
    text: 'Service not ready',
    tone: 'warn',
    title: 'Not working: worker',
  });
  assert.equal(words.connectionStatus(link({ socket: false }), health).text, 'Reconnecting…');
});

const MODELS = [
  [{ llm: { responder: 'mock', model: null, circuit: 'closed' } }, 'mock', 'quiet'],
  [{ llm: { responder: 'openai', model: 'gpt-4o-mini' } }, 'gpt-4o-mini', 'quiet'],
  [{ llm: { responder: 'openai', model: 'gpt-4o-mini', circuit: 'open' } }, 'gpt-4o-mini', 'bad'],
  [{ llm: { responder: 'openai', model: 'm', circuit: 'half_open' } }, 'm', 'quiet'],
  [{ llm: { responder: 'openai', model: 'm', ok: false } }, 'm', 'bad'],
  [{ llm: { responder: 'openai', model: 'm', circuit: 'closed', last_error: '401' } }, 'm', 'bad'],
  [{ llm: { responder: 'langgraph', model: null } }, 'langgraph', 'quiet'],
  [{}, 'unknown model', 'quiet'],
  [null, 'unknown model', 'quiet'],
];

for (const [health, text, tone] of MODELS) {
  test(`model chip of ${JSON.stringify(health)}`, () => {
    const chip = words.modelChip(health);

    assert.deepEqual([chip.text, chip.tone], [text, tone]);
  });
}

const CHATWOOT = [
  [{ chatwoot: { configured: true, circuit: 'closed' } }, 'Chatwoot connected', 'good'],
  [{ chatwoot: { configured: true } }, 'Chatwoot connected', 'good'],
  [{ chatwoot: { configured: true, circuit: 'open' } }, 'Chatwoot unreachable', 'bad'],
  [{ chatwoot: { configured: false, circuit: 'closed' } }, 'Chatwoot not connected', 'quiet'],
  [{}, 'Chatwoot not connected', 'quiet'],
];

for (const [health, text, tone] of CHATWOOT) {
  test(`Chatwoot chip of ${JSON.stringify(health)}`, () => {
    const chip = words.chatwootChip(health);

    assert.deepEqual([chip.text, chip.tone], [text, tone]);
  });
}

test('people have the names of the product, as the visitor sees them', () => {
  assert.deepEqual(words.peopleFor('Ada').names, {
    user: 'You',
    ai: 'Bot',
    agent: 'Human Agent',
    system: 'System',
  });
});

test('initials are of the bot’s own name, and an emoji stays in one piece', () => {
  assert.equal(words.peopleFor(' ada').initials.ai, 'A');
  assert.equal(words.peopleFor('Ada').initials.user, 'Y');
  assert.equal(words.peopleFor('Ada').initials.agent, 'H');
  assert.equal(words.initial('🤖 Robo'), '🤖');
  assert.equal(words.initial(''), 'B');
});

test('an agent sees the contact by name, and the bot on the own side', () => {
  const people = words.peopleFor('Ada', { own: ['agent', 'ai'], names: { user: 'Maria' } });

  assert.deepEqual(people.own, ['agent', 'ai']);
  assert.deepEqual([people.names.user, people.initials.user], ['Maria', 'M']);
  assert.equal(people.names.agent, 'Human Agent');
});

test('the banner says why the bot does not answer', () => {
  assert.equal(words.bannerFor('ai', false), null);
  assert.deepEqual(
    ['handover_pending', 'human'].map((holder) => words.bannerFor(holder, false).kind),
    ['pending', 'human'],
  );
  assert.equal(words.bannerFor('handover_pending', false).text, 'Waiting for a human…');
  assert.equal(words.bannerFor('ai', true).kind, 'silent');
});

test('a chat that a human has or is to have says so first, also in human mode', () => {
  assert.equal(words.bannerFor('human', true).kind, 'human');
  assert.equal(words.bannerFor('handover_pending', true).kind, 'pending');
});

test('only a chat given away can be taken back to the bot', () => {
  assert.equal(words.bannerFor('handover_pending', false).canReturn, true);
  assert.equal(words.bannerFor('human', false).canReturn, true);
  assert.equal(words.bannerFor('ai', true).canReturn, false);
});

test('who answers, in two words', () => {
  const text = (holder, humanMode) => words.holderChip(holder, humanMode).text;

  assert.equal(text('ai', false), 'Bot answers');
  assert.equal(text('ai', true), 'Bot is silent');
  assert.equal(text('handover_pending', true), 'Waiting');
  assert.equal(text('human', false), 'With a human');
});

test('a change of hands is said once, and not where the banner says it', () => {
  assert.equal(words.holderNote('ai', 'ai'), null);
  assert.equal(words.holderNote('ai', 'handover_pending'), null);
  assert.equal(words.holderNote('handover_pending', 'human'), 'A human agent has joined the chat.');
  assert.equal(words.holderNote('human', 'ai'), 'You are back with the bot.');
});

test('human mode says what changed', () => {
  assert.match(words.humanModeNote(true), /is on/);
  assert.match(words.humanModeNote(false), /is off/);
  assert.match(words.humanModeTitle(true), /silent in every chat/);
  assert.match(words.humanModeTitle(false), /The bot answers/);
});

const DELIVERIES = [
  ['sending', null, false, 'Sending…'],
  ['waiting', null, false, 'Waiting for the connection'],
  ['failed', 'Too long.', false, 'Not sent. Too long.'],
  ['failed', null, false, 'Not sent.'],
  ['sent', null, true, 'Sent'],
  ['sent', null, false, ''],
];

for (const [delivery, problem, showsSent, expected] of DELIVERIES) {
  test(`a message that is ${delivery} says ${JSON.stringify(expected)}`, () => {
    assert.equal(words.deliveryText({ delivery, problem }, showsSent), expected);
  });
}

const NOW = Date.parse('2026-03-02T00:30:00Z');
const DAYS = [
  ['2026-03-02T00:10:00Z', 'UTC', 'Today'],
  ['2026-03-01T23:50:00Z', 'UTC', 'Yesterday'],
  ['2026-02-28T23:50:00Z', 'UTC', 'Saturday, February 28'],
  ['2025-12-31T12:00:00Z', 'UTC', 'Wednesday, December 31, 2025'],
  // The reader's day counts, not the server's: in New York it is still Sunday.
  ['2026-03-01T23:50:00Z', 'America/New_York', 'Today'],
  ['2026-03-01T14:50:00Z', 'Asia/Tokyo', 'Yesterday'],
];

for (const [iso, zone, expected] of DAYS) {
  test(`${iso} is ${expected} in ${zone}`, () => {
    assert.equal(words.dayLabel(iso, NOW, zone), expected);
  });
}

test('the jump button counts', () => {
  assert.deepEqual([0, 1, 2].map(words.jumpText), [
    'Newest messages',
    '1 new message',
    '2 new messages',
  ]);
});
