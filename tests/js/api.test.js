import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, createApi } from '../../static/js/api.js';

const CHAT = { id: 'c_1', token: 'secret' };

/** An API whose server always gives the same answer, and what it was asked. */
function apiThat(status, body) {
  const asked = [];
  const fetch = async (path, init) => {
    asked.push({ path, ...init });
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
  };
  return { api: createApi({ fetch }), asked };
}

test('a visitor’s call carries the conversation’s token', async () => {
  const { api, asked } = apiThat(200, {});

  await api.conversation(CHAT);

  assert.equal(asked[0].path, '/conversations/c_1');
  assert.equal(asked[0].headers.Authorization, 'Bearer secret');
});

test('a page of messages lies before or after a message', async () => {
  const { api, asked } = apiThat(200, { items: [] });

  await api.messages(CHAT, { after: 0, size: 100 });
  await api.messages(CHAT, { before: 7, size: 50 });

  assert.equal(asked[0].path, '/conversations/c_1/messages?size=100&after=0');
  assert.equal(asked[1].path, '/conversations/c_1/messages?size=50&before=7');
});

test('a message goes out as the visitor’s, with its client id', async () => {
  const { api, asked } = apiThat(201, { id: 1 });

  await api.postMessage(CHAT, { content: 'Hi', clientId: 'x' });

  assert.deepEqual(JSON.parse(asked[0].body), { content: 'Hi', sender: 'user', client_id: 'x' });
});

test('giving a chat back is an operator’s call: no visitor token', async () => {
  const { api, asked } = apiThat(200, {});

  await api.giveBack(CHAT);

  assert.equal(asked[0].headers.Authorization, undefined);
  assert.deepEqual(JSON.parse(asked[0].body), { conversation_id: 'c_1', enabled: false });
});

test('not ready is an answer, not a failure', async () => {
  const { api } = apiThat(503, { status: 'not_ready' });

  assert.deepEqual(await api.health(), { status: 'not_ready' });
});

const FAILURES = [
  [401, 'unauthorized', true, false],
  [403, 'forbidden', true, false],
  [404, 'not_found', true, false],
  [422, 'validation_failed', false, false],
  [429, 'busy', false, true],
  [500, 'storage_failed', false, true],
  [503, 'x', false, true],
];

for (const [status, code, gone, retryable] of FAILURES) {
  test(`a ${status} is ${gone ? 'gone' : retryable ? 'worth another try' : 'final'}`, async () => {
    const { api } = apiThat(status, { error: { code, message: 'Because.' } });

    await assert.rejects(api.createConversation(), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.message, 'Because.');
      assert.deepEqual([error.gone, error.retryable], [gone, retryable]);
      return true;
    });
  });
}

test('no answer at all is worth another try', async () => {
  const api = createApi({
    fetch: async () => {
      throw new TypeError('Failed to fetch');
    },
  });

  await assert.rejects(api.createConversation(), { status: 0, retryable: true });
});

test('a proxy’s page instead of an answer is not taken for one', async () => {
  const { api } = apiThat(200, '<html>Please log in</html>');

  await assert.rejects(api.createConversation(), { code: 'not_ours', retryable: true });
});

for (const [status, body] of [
  [404, '404 page not found'],
  [403, '<html>Forbidden</html>'],
  [401, { message: 'Sign in to the proxy' }],
  [404, { error: { code: 404, message: 'No route' } }],
]) {
  test(`a ${status} of whoever stands between (${JSON.stringify(body)}) ends nothing`, async () => {
    const { api } = apiThat(status, body);

    await assert.rejects(api.conversation(CHAT), { status: 0, gone: false, retryable: true });
  });
}

test('an error without our body still says something', async () => {
  const { api } = apiThat(500, 'Internal Server Error');

  await assert.rejects(api.createConversation(), { message: 'The server could not do this.' });
});
