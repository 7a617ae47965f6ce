import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  appContextOf,
  conversationOf,
  suggestionOf,
  summaryOf,
} from '../../static/js/dashboard/appContext.js';

const CHATWOOT = 'https://chat.example';
const context = { displayId: 7, accountId: 1, name: 'Maria' };
const item = (changes) => ({
  id: 'c_1',
  display_id: 7,
  url: `${CHATWOOT}/app/accounts/1/conversations/7`,
  ...changes,
});

test('what Chatwoot posts is read, whatever else is in it', () => {
  const posted = JSON.stringify({
    event: 'appContext',
    data: {
      conversation: { id: 7, account_id: 1, messages: [] },
      contact: { id: 3, name: 'Maria' },
      currentAgent: { id: 2, name: 'Ben' },
    },
  });

  assert.deepEqual(appContextOf(posted), context);
});

test('anything else is not', () => {
  const others = [
    undefined,
    { event: 'appContext' },
    'not json',
    '"appContext"',
    '{"event": "other", "data": {"conversation": {"id": 7}}}',
    '{"event": "appContext"}',
    '{"event": "appContext", "data": {"conversation": {"id": "7; DROP"}}}',
  ];

  assert.deepEqual(others.map(appContextOf), others.map(() => null));
});

test('our conversation is the one of that number in that account', () => {
  const items = [
    item({ id: 'c_other', display_id: 8 }),
    item({ id: 'c_web', display_id: null, url: null }),
    item({ id: 'c_elsewhere', url: `${CHATWOOT}/app/accounts/11/conversations/7` }),
    item({}),
  ];

  assert.equal(conversationOf(items, context, CHATWOOT).id, 'c_1');
});

test('another site that says the same is not believed', () => {
  assert.equal(conversationOf([item({})], context, 'https://evil.example'), null);
});

test('the suggestion is what the bot did not get to say last', () => {
  const turns = [{ draft: null }, { draft: 'newer' }, { draft: 'older' }];

  assert.equal(suggestionOf(turns), 'newer');
  assert.equal(suggestionOf([]), null);
});

test('the summary is the newest note to agents', () => {
  const turns = [
    { replies: [{ kind: 'handover', content: 'A colleague will help.' }] },
    { replies: [{ kind: 'handover_note', content: 'Wants to know about a parcel.' }] },
    {},
  ];

  assert.equal(summaryOf(turns), 'Wants to know about a parcel.');
  assert.equal(summaryOf([{ replies: [] }]), null);
});

test('the summary’s Markdown is read as text', () => {
  const content = 'It asks:\n\n> **Contact:** Where is 2 * 3?';

  const summary = summaryOf([{ replies: [{ kind: 'note', content }] }]);

  assert.equal(summary, 'It asks:\n\nContact: Where is 2 * 3?');
});
