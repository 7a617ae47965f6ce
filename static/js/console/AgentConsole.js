import { ApiError } from '../api.js';
import { ask, h, hear, setText, tell } from '../dom.js';
import { createStore } from '../storage.js';
import { createAgentApi } from './agentApi.js';
import { ConversationList } from './ConversationList.js';
import { ConversationView } from './ConversationView.js';
import { createDesk } from './desk.js';
import { HealthStrip } from './HealthStrip.js';
import { SignIn } from './SignIn.js';
import { WhyPanel } from './WhyPanel.js';

const HIDDEN_MS = 250;
const SIGN_IN_LINK = '#sign-in=';
const PARTS = ['health-strip', 'conversation-list', 'conversation-view', 'why-panel'];

/**
 * The agents' side of the chat: a panel of the demo, or a page of its own.
 *
 * @param el `.agent-console`
 * @listens service
 * @listens suggest detail: a conversation's id, to be opened if none is
 * @listens linkUp the server answers
 * @listens lineDown the browser is offline
 * @fires waiting on the body, detail: {count}
 * @fires deskLink detail: {works}
 */
export function AgentConsole(el, { isReachable }) {
  const api = createAgentApi();
  const news = h('p', { class: 'visually-hidden', 'aria-live': 'polite' });
  const [health, list, view, why] = PARTS.map((name) => h('section', { class: name }));
  let waiting = -1;
  let isDue = false; // something has changed that is not shown yet
  let suggested; // the demo's own chat is opened when nothing else is

  const desk = createDesk({
    api,
    store: createStore(),
    onChange: update,
    onLink: (works) => ask(el, 'deskLink', { works }),
    onNews: (text) => setText(news, text),
    onRefused: showSignIn,
    isReachable,
    isLookedAt: () => !document.hidden && view.checkVisibility(),
  });

  HealthStrip(health, { api });
  ConversationList(list);
  ConversationView(view);
  WhyPanel(why, { api });

  hear(el, 'service', (service) => {
    for (const part of [health, view]) tell(part, 'service', service);
  });
  hear(el, 'linkUp', () => {
    desk.resume();
    tell(health, 'linkUp', null);
  });
  hear(el, 'lineDown', desk.lineDown);
  hear(el, 'selectConversation', ({ id }) => {
    atOnce(() => desk.select(id));
    el.classList.add('-reading');
    tell(why, 'close', null);
  });
  hear(el, 'suggest', (id) => {
    suggested = id;
    show();
  });
  hear(el, 'wantConversations', (part) => atOnce(() => desk.want(part)));
  hear(el, 'moreConversations', desk.loadMore);
  hear(el, 'backToList', () => {
    el.classList.remove('-reading');
    tell(list, 'focusSelected', null);
  });
  hear(el, 'loadOlder', desk.loadOlder);
  hear(el, 'retryMessage', ({ clientId }) => atOnce(() => desk.retry(clientId)));
  hear(el, 'editMessage', ({ clientId }) => {
    const text = atOnce(() => desk.takeBack(clientId));
    tell(view, 'draft', text);
  });
  hear(el, 'say', ({ text }) => atOnce(() => desk.send(text)));
  hear(el, 'typing', ({ typing }) => desk.tellTyping(typing));
  hear(el, 'act', act);
  hear(el, 'signOut', async () => {
    await api.signOut();
    location.reload();
  });
  hear(el, 'why', ({ turnId }) => {
    tell(why, 'open', { conversation: desk.view.selected, turnId });
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) desk.looked();
    show();
  });
  begin();

  async function begin() {
    el.setAttribute('aria-busy', 'true');
    try {
      const refusal = await followLink();
      const { agent, sign_in: canSignIn } = await api.session();
      if (!agent) return canSignIn ? showSignIn(refusal) : showRefusal();
      el.replaceChildren(news, health, list, view, why);
      desk.start();
      tell(health, 'session', { canSignOut: canSignIn });
      tell(health, 'linkUp', null);
      show();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setTimeout(begin, 3_000); // the header says what is wrong
    } finally {
      el.removeAttribute('aria-busy');
    }
  }

  /**
   * Sign in with the code that the page was opened with; it works once, so it is
   * taken out of the address.
   *
   * @returns {Promise<string>} why it does not work, or ''
   */
  async function followLink() {
    if (!location.hash.startsWith(SIGN_IN_LINK)) return '';
    const code = location.hash.slice(SIGN_IN_LINK.length);
    try {
      await api.signIn(code);
    } catch (error) {
      if (!(error instanceof ApiError) || error.retryable) throw error; // `begin` comes again
      forgetLink();
      return error.message;
    }
    forgetLink();
    location.reload(); // every part of the page begins again as an agent's
    return '';
  }

  function forgetLink() {
    history.replaceState(history.state, '', location.pathname + location.search);
  }

  function showSignIn(refusal = '') {
    desk.stop();
    if (el.querySelector('form.sign-in')) return; // with what is typed, and why it is there
    const form = h('form', { class: 'sign-in' });
    SignIn(form, { api, refusal });
    el.replaceChildren(form);
  }

  /** The header says why; here is what to do about it. */
  function showRefusal() {
    const advice = 'Open this page on the machine itself, or set ADMIN_TOKEN and sign in with it.';
    el.replaceChildren(h('div', { class: 'sign-in' }, h('h2', {}, 'Agents only'), h('p', { class: 'meta' }, advice)));
  }

  async function act({ what, failed }) {
    try {
      await desk.act(what);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      tell(view, 'complaint', `${failed} ${error.message}`);
    }
  }

  /** Many events may come between two frames; nobody sees more than one of them. */
  function update() {
    if (isDue) return;
    isDue = true;
    // A tab that is not looked at has no frames, and its title counts who waits.
    if (document.hidden) setTimeout(showDue, HIDDEN_MS);
    else requestAnimationFrame(showDue);
  }

  function showDue() {
    if (isDue) show();
  }

  /** Who has pressed something sees at once what comes of it. */
  function atOnce(act) {
    const result = act();
    show();
    return result;
  }

  function show() {
    isDue = false;
    if (suggested && desk.opens(suggested)) suggested = undefined;
    const state = desk.view;
    tell(list, 'conversations', state);
    tell(view, 'conversation', state);
    tell(why, 'conversation', state.selected);
    if (state.waiting !== waiting) {
      waiting = state.waiting;
      tell(document.body, 'waiting', { count: waiting });
    }
  }
}
