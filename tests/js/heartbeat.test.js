import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../static/js/api.js';
import { createHeartbeat } from '../../static/js/heartbeat.js';

const failure = (status) => new ApiError('Because.', { status, code: 'x' });

/** A heartbeat of a service with these answers, and all it reported. */
function heartbeatOf({ health, humanStatus, ...options }) {
  const said = [];
  let statusAsked = 0;
  const heartbeat = createHeartbeat({
    api: {
      health: health ?? (async () => ({ status: 'ready' })),
      humanStatus: async () => {
        statusAsked += 1;
        return humanStatus ? humanStatus() : { human_mode: false };
      },
    },
    onHealth: (body) => said.push(['health', body.status]),
    onHumanMode: (enabled) => said.push(['humanMode', enabled]),
    onRefused: (message) => said.push(['refused', message]),
    onLink: (works) => said.push(['link', works]),
    ...options,
  });
  return { heartbeat, said, asked: () => statusAsked };
}

test('a beat reports health, human mode and that the line works', async () => {
  const { heartbeat, said } = heartbeatOf({});

  const works = await heartbeat.probe();

  assert.equal(works, true);
  assert.deepEqual(said, [['health', 'ready'], ['humanMode', false], ['link', true]]);
});

test('a caller who may not know is told once and does not ask again', async () => {
  const { heartbeat, said, asked } = heartbeatOf({
    humanStatus: () => {
      throw failure(403);
    },
  });

  await heartbeat.probe();
  await heartbeat.probe();

  assert.equal(asked(), 1);
  assert.deepEqual(said.filter(([what]) => what === 'refused'), [['refused', 'Because.']]);
  assert.deepEqual(said.at(-1), ['link', true]);
});

test('who may not ask learns of human mode with the health', async () => {
  const { heartbeat, said } = heartbeatOf({
    health: async () => ({ status: 'ready', human_mode: true }),
    isOperator: false,
  });

  await heartbeat.probe();

  assert.deepEqual(said, [['health', 'ready'], ['humanMode', true], ['link', true]]);
});

for (const [what, options, beats] of [
  ['a visitor’s page without a chat', { isOperator: false }, 7],
  ['a visitor’s page whose socket is open', { isOperator: false, isFollowing: () => true }, 2],
  ['a page that nobody looks at', { isHidden: () => true }, 2],
  ['an operator’s page', { isFollowing: () => true }, 7],
]) {
  test(`${what} asks ${beats} times in half a minute`, async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { heartbeat, said } = heartbeatOf(options);

    heartbeat.start();
    for (let second = 0; second < 30; second += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      t.mock.timers.tick(1_000);
    }
    await new Promise((resolve) => setImmediate(resolve));

    assert.equal(said.filter(([kind]) => kind === 'link').length, beats);
  });
}

for (const status of [0, 502]) {
  test(`an answer with status ${status} is no sign of life`, async () => {
    const { heartbeat, said } = heartbeatOf({
      health: async () => {
        throw failure(status);
      },
    });

    assert.equal(await heartbeat.probe(), false);
    assert.deepEqual(said.at(-1), ['link', false]);
  });
}

test('probes at the same time share one beat', async () => {
  const { heartbeat, asked } = heartbeatOf({});

  await Promise.all([heartbeat.probe(), heartbeat.probe()]);

  assert.equal(asked(), 1);
});

test('an answer from before the switch does not undo the switch', async () => {
  let answer;
  const { heartbeat, said } = heartbeatOf({
    humanStatus: () => new Promise((resolve) => (answer = resolve)),
  });

  const beat = heartbeat.probe();
  heartbeat.outdate();
  answer({ human_mode: false });
  await beat;

  assert.deepEqual(said.filter(([what]) => what === 'humanMode'), []);
});
