import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../static/js/api.js';
import { createOutbox } from '../../static/js/outbox.js';

const failure = (status) => new ApiError(`failed ${status}`, { status, code: 'x' });

/** An outbox with messages a, b…; `answers` are errors to throw, in order. */
function outboxWith({ names, answers = [], reachable = () => true }) {
  const queue = names.map((clientId) => ({ clientId }));
  const posts = [];
  const marks = [];
  const outbox = createOutbox({
    next: () => queue[0],
    post: async (message) => {
      posts.push(message.clientId);
      const answer = answers.shift();
      if (answer) throw answer;
      queue.shift();
    },
    mark: (message, delivery, problem) => {
      marks.push([message.clientId, delivery, ...(problem ? [problem] : [])]);
      if (delivery === 'failed') queue.shift();
    },
    isReachable: async () => reachable(),
    sleep: async () => {},
  });
  return { outbox, queue, posts, marks };
}

test('messages go out in the order they were written', async () => {
  const { outbox, posts } = outboxWith({ names: ['a', 'b', 'c'] });

  await outbox.flush();

  assert.deepEqual(posts, ['a', 'b', 'c']);
});

test('a second flush while one runs sends nothing twice', async () => {
  const { outbox, posts } = outboxWith({ names: ['a', 'b'] });

  await Promise.all([outbox.flush(), outbox.flush()]);

  assert.deepEqual(posts, ['a', 'b']);
});

test('what the server refuses for good fails at once, and the next goes out', async () => {
  const { outbox, posts, marks } = outboxWith({ names: ['a', 'b'], answers: [failure(422)] });

  await outbox.flush();

  assert.deepEqual(posts, ['a', 'b']);
  assert.deepEqual(marks, [['a', 'sending'], ['a', 'failed', 'failed 422'], ['b', 'sending']]);
});

test('a blip is retried without a word', async () => {
  const answers = [failure(0), failure(500)];
  const { outbox, posts, marks } = outboxWith({ names: ['a'], answers });

  await outbox.flush();

  assert.deepEqual(posts, ['a', 'a', 'a']);
  assert.ok(marks.every(([, delivery]) => delivery === 'sending'));
});

test('when the server answers others but not this, it fails after three tries', async () => {
  const { outbox, posts, marks } = outboxWith({
    names: ['a'],
    answers: [failure(500), failure(500), failure(500)],
  });

  await outbox.flush();

  assert.equal(posts.length, 3);
  assert.deepEqual(marks.at(-1), ['a', 'failed', 'failed 500']);
});

test('without a connection it waits, and goes out with the next flush', async () => {
  let line = false;
  const { outbox, posts, marks } = outboxWith({
    names: ['a', 'b'],
    answers: [failure(0)],
    reachable: () => line,
  });

  await outbox.flush();
  const whileDown = [...posts];
  line = true;
  await outbox.flush();

  assert.deepEqual(whileDown, ['a']);
  assert.deepEqual(marks[1], ['a', 'waiting']);
  assert.deepEqual(posts, ['a', 'a', 'b']);
});

test('a chat that is gone gets another try: the next one is a new chat', async () => {
  const { outbox, posts } = outboxWith({ names: ['a'], answers: [failure(401)] });

  await outbox.flush();

  assert.deepEqual(posts, ['a', 'a']);
});

test('a message that was confirmed or withdrawn between tries is not sent again', async () => {
  const { outbox, queue, posts } = outboxWith({
    names: ['a'],
    answers: [failure(500)],
    reachable: () => {
      queue.shift();
      return true;
    },
  });

  await outbox.flush();

  assert.deepEqual(posts, ['a']);
});

test('a mistake of ours is not hidden as a failed message', async () => {
  const { outbox } = outboxWith({ names: ['a'], answers: [new TypeError('bug')] });

  await assert.rejects(outbox.flush(), TypeError);
});
