import { ApiError } from '../api.js';
import { createAgentApi } from '../console/agentApi.js';
import { reasonText, stateBadge } from '../console/deskWords.js';
import { SignIn } from '../console/SignIn.js';
import { turnEntry } from '../console/TurnEntry.js';
import { find, h, setText } from '../dom.js';
import { peopleFor } from '../words.js';
import { appContextOf, conversationOf, FETCH_INFO, summaryOf, suggestionOf } from './appContext.js';

const READ_EVERY_MS = 4_000;
const ACCOUNTS = 200; // in which there may be a conversation of the same number
const LATEST = 6;
const TURNS = 5;

/**
 * The panel inside Chatwoot's conversation view: who holds the conversation,
 * why, and what the bot knows of it.
 *
 * @param el `.dashboard-app`
 */
export function DashboardApp(el) {
  // A browser that keeps no cookie of ours inside another site's page: the token
  // lives as long as the panel.
  let token = null;
  const api = createAgentApi({ token: () => token });
  let context = null;
  let origin = '';
  let conversation = null;
  let readings = 0;
  let isReading = false;

  window.addEventListener('message', (event) => {
    if (event.source !== window.parent || window.parent === window) return;
    const next = appContextOf(event.data);
    if (!next) return;
    context = next;
    origin = event.origin;
    conversation = null;
    find(el, '.open').hidden = true; // it shows another one's
    read();
  });
  find(el, '.switch').addEventListener('click', move);
  find(el, '.copy').addEventListener('click', copy);
  setInterval(() => !document.hidden && !isReading && context && read(), READ_EVERY_MS);
  begin();

  async function begin() {
    if (window.parent === window) {
      return say('Chatwoot shows this panel beside a conversation: Settings → Integrations → Dashboard apps.');
    }
    try {
      const { agent, sign_in: canSignIn } = await api.session();
      if (!agent && !token && canSignIn) return showSignIn();
      if (!agent) return say('This browser keeps no sign-in here: set ADMIN_TOKEN, and sign in with it.');
      window.parent.postMessage(FETCH_INFO, '*');
    } catch (error) {
      complain(error);
    }
  }

  function showSignIn() {
    const form = h('form', { class: 'sign-in' });
    SignIn(form, {
      api,
      onSignedIn: (given) => {
        token = given;
        form.remove();
        begin();
      },
    });
    say('');
    el.append(form);
  }

  /** An answer that is overtaken by a later one is not shown. */
  async function read() {
    readings += 1;
    const mine = readings;
    isReading = true;
    try {
      const found = conversation ?? (await look());
      if (mine !== readings) return;
      if (!found) return say('The bot does not know this conversation yet.');
      const { id } = found;
      const [now, { items: turns }] = await Promise.all([api.conversation(id), api.turns(id)]);
      const before = (now.last_message?.id ?? 0) + 1;
      const { items: messages } = await api.messages(id, { before, size: LATEST });
      if (mine !== readings) return;
      conversation = now;
      show(turns, messages);
    } catch (error) {
      if (mine === readings) complain(error);
    } finally {
      if (mine === readings) isReading = false;
    }
  }

  async function look() {
    const { displayId, accountId } = context;
    const { items } = await api.conversations({ displayId, accountId, limit: ACCOUNTS });
    return conversationOf(items, context, origin);
  }

  /** turns: newest first messages: oldest first */
  function show(turns, messages) {
    const { state, reason, detail, name } = conversation;
    const badge = stateBadge(state);
    say('');
    find(el, '.open').hidden = false;
    setText(find(el, '.name'), name ?? context?.name ?? 'Conversation');
    setText(find(el, '.why'), [state !== 'ai' && reasonText(reason), detail].filter(Boolean).join(': '));
    setText(find(el, '.badge'), badge.text);
    find(el, '.badge').dataset.tone = badge.tone;
    setText(find(el, '.switch'), state === 'human' ? 'Give back to bot' : 'Take over');
    fill('.summary', summaryOf(turns));
    fill('.suggestion', suggestionOf(turns));
    const people = peopleFor('Bot', { names: { user: name ?? 'Contact' } });
    find(el, 'ol').replaceChildren(
      ...messages.map(({ sender, content }) =>
        h(
          'li',
          { class: `-${sender}` },
          h('strong', { class: 'sender' }, people.names[sender] ?? 'System'),
          h('span', { class: 'text', dir: 'auto' }, content ?? 'Deleted'),
        ),
      ),
    );
    showTurns(turns.slice(0, TURNS));
  }

  function showTurns(turns) {
    const list = find(el, '.turns .list');
    const key = turns.map(({ id, outcome }) => id + outcome).join();
    find(el, '.turns').hidden = turns.length === 0;
    if (list.dataset.key === key) return; // leave open what is open
    list.dataset.key = key;
    list.replaceChildren(...turns.map((turn) => turnEntry(turn, false)));
  }

  function fill(card, text) {
    find(el, card).hidden = text === null;
    setText(find(el, `${card} .text`), text ?? '');
  }

  async function move() {
    if (!conversation) return; // Chatwoot shows another one, which is being read
    const { id, state } = conversation;
    const button = find(el, '.switch');
    button.disabled = true;
    try {
      await api.move(id, state === 'human' ? 'release' : 'takeover');
      await read();
    } catch (error) {
      complain(error);
    } finally {
      button.disabled = false;
    }
  }

  async function copy() {
    const words = find(el, '.suggestion .text');
    const label = find(el, '.copy .label');
    setText(label, (await copied(words)) ? 'Copied' : 'Press Ctrl+C');
    setTimeout(() => setText(label, 'Copy'), 2_000);
  }

  function say(text) {
    setText(find(el, '.note'), text);
    setText(find(el, '.problem'), '');
    if (text) find(el, '.open').hidden = true;
  }

  function complain(error) {
    if (!(error instanceof ApiError)) throw error; // our own mistake: show it
    const isShown = !find(el, '.open').hidden;
    if (isShown) setText(find(el, '.problem'), error.message);
    else say(error.message);
  }
}

/**
 * Inside another site's page the clipboard may be shut; then the words are
 * selected, and one key copies them.
 */
async function copied(el) {
  try {
    await navigator.clipboard.writeText(el.textContent ?? '');
    return true;
  } catch {
    getSelection()?.selectAllChildren(el);
    return document.execCommand('copy');
  }
}
