import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../static/js/api.js';
import { createChatSession } from '../../static/js/chatSession.js';
import { createStore } from '../../static/js/storage.js';
import { fakeServer } from './fakeServer.js';

/** Storage as a browser has it: it outlives the page. */
function fakeArea() {
  const kept = new Map();
  return {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, text) => kept.set(name, text),
    removeItem: (name) => kept.delete(name),
  };
}

/** One page load. `t.after` closes its socket, so the test process can end. */
function page(t, server = fakeServer(), area = fakeArea()) {
  const checks = new Set();
  const links = [];
  const store = createStore(() => area);
  const session = createChatSession({
    api: server.api,
    store,
    onChange: recheck,
    onLink: (works) => {
      links.push(works);
      recheck();
    },
    isReachable: async () => !server.isDown,
    connect: server.connect,
  });
  session.start();
  t.after(() => session.newChat());
  return { session, server, area, links, store, until, texts, chatId };

  function recheck() {
    queueMicrotask(() => checks.forEach((check) => check()));
  }

  function until(isTrue) {
    return new Promise((resolve) => {
      const check = () => {
        if (!isTrue(session.view)) return;
        checks.delete(check);
        resolve(session.view);
      };
      checks.add(check);
      check();
    });
  }

  function texts() {
    return session.view.messages.map((message) => message.content);
  }

  function chatId() {
    return store.read('chat')?.id ?? null;
  }
}

const isSent = ({ messages }) =>
  messages.at(-1)?.delivery === 'sent' && messages.at(-1).id !== null;
const has = (text) => ({ messages }) => messages.some((message) => message.content === text);
const is = (delivery) => ({ messages }) =>
  messages.some((message) => message.delivery === delivery);

test('a visit without a message makes no conversation', (t) => {
  const { server, links } = page(t);

  assert.equal(server.created, 0);
  assert.deepEqual(links, [null]);
});

test('the first message makes one, is shown at once, and is confirmed', async (t) => {
  const { session, server, until } = page(t);

  session.send('Hi');
  const shown = session.view.messages[0];
  await until(isSent);

  assert.deepEqual([shown.content, shown.delivery], ['Hi', 'sending']);
  assert.equal(session.view.messages.length, 1);
  assert.equal(server.created, 1);
});

test('two quick messages share one conversation and keep their order', async (t) => {
  const { session, server, until } = page(t);

  session.send('one');
  session.send('two');
  await until(isSent);

  assert.equal(server.created, 1);
  assert.deepEqual(server.posted, ['one', 'two']);
});

test('an answer arrives over the socket', async (t) => {
  const { session, server, until, texts, chatId } = page(t);
  session.send('Hi');
  await until(isSent);

  server.say(chatId(), 'ai', 'Hello!');
  await until(has('Hello!'));

  assert.deepEqual(texts(), ['Hi', 'Hello!']);
});

/** A page with a conversation that follows the server. */
async function chatting(t) {
  const opened = page(t);
  opened.session.send('Hi');
  await opened.until(isSent);
  await opened.until(() => opened.links.at(-1) === true);
  return opened;
}

test('words that are being written grow, and become the message in the same place', async (t) => {
  const { session, server, until, chatId } = await chatting(t);

  server.emit(chatId(), 'REPLY_CHUNK', { turn_id: 't1', text: 'Hel' });
  server.emit(chatId(), 'REPLY_CHUNK', { turn_id: 't1', text: 'lo!' });
  const draft = session.view.messages.at(-1);
  server.say(chatId(), 'ai', 'Hello!', null, 't1');
  await until(has('Hello!'));

  assert.deepEqual([draft.content, draft.delivery], ['Hello!', 'streaming']);
  assert.equal(session.view.messages.length, 2);
  assert.equal(session.view.messages.at(-1).clientId, draft.clientId);
  assert.equal(session.view.messages.at(-1).delivery, 'sent');
});

test('words that are withdrawn disappear', async (t) => {
  const { server, texts, chatId } = await chatting(t);

  server.emit(chatId(), 'REPLY_CHUNK', { turn_id: 't1', text: 'Hel' });
  server.emit(chatId(), 'REPLY_DROPPED', { turn_id: 't1' });

  assert.deepEqual(texts(), ['Hi']);
});

test('half an answer does not stand beside the next one', async (t) => {
  const { server, texts, until, chatId } = await chatting(t);
  const half = { turn_id: 't1', text: 'Your parcel is' };

  server.emit(chatId(), 'REPLY_CHUNK', half); // and its withdrawal is lost
  server.emit(chatId(), 'REPLY_CHUNK', { turn_id: 't2', text: 'Your parcel' });
  const during = texts();
  server.emit(chatId(), 'REPLY_CHUNK', half);
  server.say(chatId(), 'ai', 'Your parcel is here.', null, 't2');
  await until(has('Your parcel is here.'));

  assert.deepEqual(during, ['Hi', 'Your parcel']);
  assert.deepEqual(texts(), ['Hi', 'Your parcel is here.']);
});

test('half an answer does not outlive the line it came over', async (t) => {
  const { server, texts, links, until, chatId } = await chatting(t);

  server.emit(chatId(), 'REPLY_CHUNK', { turn_id: 't1', text: 'Hel' });
  server.cut();
  await until(() => links.at(-1) === false);

  assert.deepEqual(texts(), ['Hi']);
});

test('who is typing is shown until they have said it', async (t) => {
  const { session, server, chatId } = await chatting(t);

  server.emit(chatId(), 'TYPING', { sender: 'user', typing: true });
  const own = session.view.typing;
  server.emit(chatId(), 'TYPING', { sender: 'agent', typing: true });
  const other = session.view.typing;
  server.say(chatId(), 'agent', 'Here I am.');

  assert.deepEqual([own, other, session.view.typing], [null, 'agent', null]);
});

test('our own typing is told to the others', async (t) => {
  const { session, server } = await chatting(t);

  session.tellTyping(true);

  assert.deepEqual(server.frames, [{ typing: true }]);
});

test('an edit and a deletion change what is shown, and nothing that is not', async (t) => {
  const { server, until, texts, chatId } = await chatting(t);
  const message = server.say(chatId(), 'agent', 'Helo');
  await until(has('Helo'));

  server.emit(chatId(), 'MESSAGE_UPDATED', { ...message, content: 'Hello' });
  const edited = texts();
  server.emit(chatId(), 'MESSAGE_DELETED', { ...message, content: null, deleted_at: 'now' });
  server.emit(chatId(), 'MESSAGE_UPDATED', { ...message, id: 99, content: 'Of another page' });

  assert.deepEqual(edited, ['Hi', 'Hello']);
  assert.deepEqual(texts(), ['Hi', null]);
});

test('what was said, edited and decided while the line was cut is caught up with', async (t) => {
  const { session, server, until, texts, chatId } = await chatting(t);
  const before = server.say(chatId(), 'agent', 'Helo');
  await until(has('Helo'));

  server.cut();
  server.rewrite(before, { content: 'Hello' });
  for (let i = 0; i < 250; i += 1) server.say(chatId(), 'ai', `m${i}`);
  server.setState(chatId(), 'human');
  server.isDown = false;
  session.resume();
  await until(({ holder }) => holder === 'human');
  await until(has('m249'));

  assert.equal(texts().length, 253);
  assert.equal(texts()[1], 'Hello');
});

test('the chat survives a reload', async (t) => {
  const first = page(t);
  first.session.send('Hi');
  await first.until(isSent);
  first.server.say(first.chatId(), 'ai', 'Hello!');
  first.session.say('Human mode is on.');

  const second = page(t, first.server, first.area);
  assert.equal(second.session.view.isLoading, true);
  await second.until(({ isLoading }) => !isLoading);

  assert.deepEqual(second.texts(), ['Hi', 'Human mode is on.', 'Hello!']);
});

test('a long chat opens with the newest page and reads older ones on request', async (t) => {
  const first = page(t);
  first.session.send('first');
  await first.until(isSent);
  for (let i = 0; i < 80; i += 1) first.server.say(first.chatId(), 'ai', `m${i}`);

  const second = page(t, first.server, first.area);
  await second.until(({ isLoading }) => !isLoading);
  const opened = { count: second.texts().length, more: second.session.view.hasOlder };
  await Promise.all([second.session.loadOlder(), second.session.loadOlder()]);

  assert.deepEqual(opened, { count: 50, more: true });
  assert.equal(second.texts().length, 81);
  assert.equal(second.texts()[0], 'first');
  assert.equal(second.session.view.hasOlder, false);
});

test('what is written offline waits and goes out later', async (t) => {
  const { session, server, until } = page(t);
  server.cut();

  session.send('Hi');
  await until(is('waiting'));
  server.isDown = false;
  session.resume();
  await until(isSent);

  assert.deepEqual(server.posted, ['Hi']);
});

test('what waits survives a reload, and is then sent once', async (t) => {
  const first = page(t);
  first.server.cut();
  first.session.send('Hi');
  await first.until(is('waiting'));

  first.server.isDown = false;
  const second = page(t, first.server, first.area);
  await second.until(isSent);

  assert.deepEqual(first.server.posted, ['Hi']);
});

test('a refused message says why, and retry sends it', async (t) => {
  const { session, server, until } = page(t);
  server.refusal = new ApiError('Too long.', { status: 422, code: 'too_long' });
  session.send('Hi');
  const { messages } = await until(is('failed'));

  server.refusal = null;
  session.retry(messages[0].clientId);
  await until(isSent);

  assert.equal(messages[0].problem, 'Too long.');
  assert.equal(session.view.messages.length, 1);
});

test('a refused message can be taken back and written anew', async (t) => {
  const { session, server, until } = page(t);
  server.refusal = new ApiError('Too long.', { status: 422, code: 'too_long' });
  session.send('Hi');
  const { messages } = await until(is('failed'));

  const text = session.takeBack(messages[0].clientId);

  assert.equal(text, 'Hi');
  assert.deepEqual(session.view.messages, []);
  assert.equal(session.takeBack('unknown'), '');
});

test('when the server forgot the chat, the page starts over and says so', async (t) => {
  const { session, server, until, texts, chatId } = page(t);
  session.send('Hi');
  await until(isSent);

  server.forgetEverything();
  await until(({ messages }) => messages.some((message) => message.sender === 'system'));

  assert.match(texts().join(), /no longer on the server/);
  assert.equal(texts().includes('Hi'), false);
  assert.equal(chatId(), null);
  assert.equal(session.view.canReturn, true);
});

test('a socket that was closed for its age does not end the chat', async (t) => {
  const { session, server, until, texts, chatId } = await chatting(t);
  const id = chatId();

  server.endSockets(4408);
  session.resume();
  server.say(id, 'ai', 'Still here.');
  await until(has('Still here.'));

  assert.equal(chatId(), id);
  assert.deepEqual(texts(), ['Hi', 'Still here.']);
});

test('a message written to a forgotten chat arrives in the new one', async (t) => {
  const first = page(t);
  first.session.send('Hi');
  await first.until(isSent);
  first.session.newChat(); // close its socket
  first.store.write('chat', { id: 'c_1', token: 'wrong' });

  const second = page(t, first.server, first.area);
  second.session.send('Are you there?');
  await second.until((view) => has('Are you there?')(view) && isSent(view));

  assert.equal(first.server.created, 2);
  assert.equal(second.chatId(), 'c_2');
});

test('asking for a human works before anything was said', async (t) => {
  const { session, server, until } = page(t);

  session.askForHuman();
  await until(({ holder }) => holder === 'handover_pending');

  assert.equal(server.created, 1);
});

test('going back to the bot is said in the chat', async (t) => {
  const { session, until, texts } = page(t);
  session.askForHuman();
  await until(({ holder }) => holder === 'handover_pending');

  session.backToBot();
  await until(({ holder }) => holder === 'ai');

  assert.deepEqual(texts(), ['You are back with the bot.']);
});

test('a human joining is seen and said', async (t) => {
  const { session, server, until, texts, chatId } = page(t);
  session.send('Hi');
  await until(isSent);

  server.setState(chatId(), 'human');
  await until(({ holder }) => holder === 'human');

  assert.deepEqual(texts(), ['Hi', 'A human agent has joined the chat.']);
});

test('a human joins before their first words, whichever is heard of first', async (t) => {
  const { session, server, until, texts, chatId } = page(t);
  session.send('Hi');
  await until(isSent);

  server.say(chatId(), 'agent', 'This is Mia.');
  await until(has('This is Mia.'));
  server.setState(chatId(), 'human');
  await until(({ holder }) => holder === 'human');

  assert.deepEqual(texts(), ['Hi', 'A human agent has joined the chat.', 'This is Mia.']);
});

test('a wish that cannot be granted is answered in the chat', async (t) => {
  const { session, server, until, texts } = page(t);
  server.cut();

  session.askForHuman();
  await until(({ messages }) => messages.length > 0);

  assert.deepEqual(texts(), ['Could not ask for a human. No answer.']);
});

test('a new chat is empty, and the one before can be opened again', async (t) => {
  const { session, until, texts, chatId } = page(t);
  session.send('Hi');
  await until(isSent);

  session.newChat();
  const fresh = { ...session.view, chat: chatId() };
  session.returnToPrevious();
  await until(has('Hi'));

  assert.deepEqual([fresh.messages, fresh.canReturn, fresh.chat], [[], true, null]);
  assert.deepEqual(texts(), ['Hi']);
  assert.equal(session.view.canReturn, false);
});

test('once the new chat exists there is no way back any more', async (t) => {
  const { session, until } = page(t);
  session.send('one');
  await until(isSent);

  session.newChat();
  session.send('two');
  await until(isSent);

  assert.equal(session.view.canReturn, false);
});

test('starting over while a message waits does not carry it along', async (t) => {
  const { session, server, until } = page(t);
  server.cut();
  session.send('Hi');
  await until(is('waiting'));

  session.newChat();
  server.isDown = false;
  session.resume();
  session.send('Other');
  await until(isSent);

  assert.deepEqual(server.posted, ['Other']);
});

test('a cut line is reported, and its return as soon as it answers', async (t) => {
  const { session, server, links, until, chatId } = page(t);
  session.send('Hi');
  await until(isSent);

  server.cut();
  await until(() => links.at(-1) === false);
  server.isDown = false;
  session.resume();
  server.say(chatId(), 'ai', 'Still here.');
  await until(has('Still here.'));
  await until(() => links.at(-1) === true);
});

test('a note from before the newest page appears together with its messages', async (t) => {
  const first = page(t);
  first.session.send('first');
  await first.until(isSent);
  first.session.say('An old note.');
  for (let i = 0; i < 60; i += 1) first.server.say(first.chatId(), 'ai', `m${i}`);

  const second = page(t, first.server, first.area);
  await second.until(({ isLoading }) => !isLoading);
  const opened = second.texts();
  await second.session.loadOlder();

  assert.equal(opened.includes('An old note.'), false);
  assert.deepEqual(second.texts().slice(0, 3), ['first', 'An old note.', 'm0']);
});
