import { AppHeader } from './AppHeader.js';
import { ApiError, createApi } from './api.js';
import { find, hear, tell } from './dom.js';
import { createHeartbeat } from './heartbeat.js';
import { PageTitle } from './PageTitle.js';
import { createStore } from './storage.js';
import { VisitorChat } from './VisitorChat.js';

/**
 * The demo page: owns what all panels share (is the service there, who may
 * speak) and hands it down as `service`. The visitor chat is one panel; the
 * agent console becomes the second.
 *
 * @typedef {object} Service
 * @property {import('./words.js').Link} link
 * @property {import('./words.js').Health | null} health
 * @property {string} botName
 * @property {boolean | null} humanMode null until the service has said so
 * @property {string | null} refusal why this caller may not switch human mode
 * @property {boolean} isSwitching
 *
 * @param {HTMLElement} el `.demo-page`
 * @listens CustomEvent#setHumanMode detail: {enabled}
 * @listens CustomEvent#linkChange detail: {works}, from the chat's poll
 */
export function DemoPage(el) {
  const header = find(el, '.app-header');
  const chat = find(el, '.visitor-chat');
  const api = createApi();
  /** @type {Service} */
  let service = {
    link: { browserOnline: navigator.onLine, heartbeat: null, poll: null },
    health: null,
    botName: 'Bot',
    humanMode: null,
    refusal: null,
    isSwitching: false,
  };

  const heartbeat = createHeartbeat({
    api,
    onHealth: (health) => change({ health, botName: health.bot_name || 'Bot' }),
    onHumanMode: (humanMode) => change({ humanMode }),
    onRefused: (refusal) => change({ refusal }),
    onLink: (works) => {
      changeLink({ heartbeat: works });
      if (works) tell(chat, 'linkUp', null);
    },
  });

  AppHeader(header);
  VisitorChat(chat, { api, store: createStore(), isReachable: heartbeat.probe });
  PageTitle(el);

  hear(el, 'setHumanMode', ({ enabled }) => setHumanMode(enabled));
  hear(el, 'linkChange', ({ works }) => changeLink({ poll: works }));
  window.addEventListener('online', () => followBrowser());
  window.addEventListener('offline', () => followBrowser());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) heartbeat.wake();
  });
  change({});
  heartbeat.start();

  function followBrowser() {
    changeLink({ browserOnline: navigator.onLine });
    if (navigator.onLine) heartbeat.wake();
  }

  /** @param {boolean} enabled */
  async function setHumanMode(enabled) {
    change({ isSwitching: true });
    heartbeat.outdate();
    try {
      const answer = await api.setHumanMode(enabled);
      heartbeat.outdate(); // an answer from before the switch must not undo it
      change({ humanMode: answer.human_mode === true });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.gone) change({ refusal: error.message });
      else tell(chat, 'notice', `Could not switch human mode. ${error.message}`);
    } finally {
      change({ isSwitching: false });
    }
  }

  /** @param {Partial<import('./words.js').Link>} link */
  function changeLink(link) {
    const [[name, value]] = Object.entries(link);
    if (Reflect.get(service.link, name) !== value) change({ link: { ...service.link, ...link } });
  }

  /** @param {Partial<Service>} part */
  function change(part) {
    service = { ...service, ...part };
    for (const child of [header, chat, el]) tell(child, 'service', service);
  }
}
