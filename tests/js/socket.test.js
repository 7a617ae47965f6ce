import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSocket } from '../../static/js/socket.js';

/** Sockets whose fate the test decides, one per attempt. */
function line(t, options = {}) {
  const attempts = [];
  const heard = [];
  const connect = () => {
    const socket = { sent: [], send: (text) => socket.sent.push(text), close: () => {} };
    attempts.push(socket);
    return socket;
  };
  const socket = createSocket({
    path: '/ws/agents',
    onOpen: () => heard.push('open'),
    onEvent: (event, body) => heard.push([event, body]),
    onLink: (works) => heard.push(works),
    onRefused: (code) => heard.push(code),
    connect,
    random: () => 0,
    ...options,
  });
  t.after(() => socket.stop());
  return { socket, attempts, heard };
}

/** Let promises settle. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('news comes as an event and its body', (t) => {
  const { attempts, heard } = line(t);

  attempts[0].onopen();
  attempts[0].onmessage({ data: '{"event": "TYPING", "body": {"typing": true}}' });

  assert.deepEqual(heard, [true, 'open', ['TYPING', { typing: true }]]);
});

test('a lost line is opened again, sooner when woken', async (t) => {
  const { socket, attempts, heard } = line(t);
  attempts[0].onopen();

  attempts[0].onclose({ code: 1006 });
  await settle();
  const isOpenWhileLost = socket.isOpen;
  socket.wake();
  await settle();
  attempts[1].onopen();
  attempts[1].onmessage({ data: '{"event": "TYPING", "body": {}}' });

  assert.equal(isOpenWhileLost, false);
  assert.deepEqual(heard, [true, 'open', false, true, 'open', ['TYPING', {}]]);
});

test('a socket that is refused again and again is tried less and less often', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { attempts, heard } = line(t);

  for (let ms = 0; ms < 10_000; ms += 50) {
    if (attempts.at(-1).onopen) {
      attempts.at(-1).onopen(); // so that the browser can read the code that follows
      attempts.at(-1).onclose({ code: 1011 });
    }
    await settle();
    t.mock.timers.tick(50);
  }

  assert.equal(attempts.length, 6); // after 0.25, 0.5, 1, 2 and 4 s
  assert.equal(heard.filter((what) => what === 'open').length, 1);
});

test('a line that stays open, or brings an event, has come back', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { attempts, heard } = line(t);
  attempts[0].onclose({ code: 1006 });
  await settle();
  t.mock.timers.tick(250);
  await settle();

  attempts[1].onopen();
  const early = [...heard];
  t.mock.timers.tick(250);
  const later = [...heard];
  t.mock.timers.tick(4_750);
  attempts[1].onclose({ code: 1006 });
  await settle();
  t.mock.timers.tick(250);
  await settle();

  assert.deepEqual(early, [false]);
  assert.deepEqual(later, [false, true, 'open']);
  assert.equal(attempts.length, 3); // the wait is short again
});

test('a socket that is closed for its age comes back', async (t) => {
  const { socket, attempts, heard } = line(t);
  attempts[0].onopen();

  attempts[0].onclose({ code: 4408 });
  await settle();
  socket.wake();
  await settle();

  assert.equal(attempts.length, 2);
  assert.equal(heard.includes(4408), false);
});

test('who is refused does not come again', async (t) => {
  const { attempts, heard } = line(t);

  attempts[0].onclose({ code: 4401 });
  await settle();

  assert.deepEqual(heard, [4401]);
  assert.equal(attempts.length, 1);
});

test('what cannot be sent is not sent later', (t) => {
  const { socket, attempts } = line(t);

  const early = socket.send({ typing: true });
  attempts[0].onopen();
  const late = socket.send({ typing: false });

  assert.deepEqual([early, late], [false, true]);
  assert.deepEqual(attempts[0].sent, ['{"typing":false}']);
});

test('a stopped socket stays closed, whatever arrives', async (t) => {
  const { socket, attempts, heard } = line(t);
  attempts[0].onopen();

  socket.stop();
  await settle();

  assert.equal(attempts[0].onmessage, null);
  assert.deepEqual(heard, [true, 'open']);
  assert.equal(attempts.length, 1);
});

test('the browser’s word that it is offline ends the line at once', async (t) => {
  const { socket, attempts, heard } = line(t);
  attempts[0].onopen();

  socket.drop();
  await settle();

  assert.equal(heard.at(-1), false);
});

test('a server that never answers the upgrade is given up on', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { heard } = line(t);

  t.mock.timers.tick(10_000);
  await settle();

  assert.deepEqual(heard, [false]);
});
