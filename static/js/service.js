import { ApiError } from './api.js';
import { hear, tell } from './dom.js';
import { createHeartbeat } from './heartbeat.js';

/**
 * What all parts of a page share (is the service there, who may speak), handed
 * down to them as `service`.
 *
 * @typedef {object} Service
 * @property {import('./words.js').Link} link
 * @property {import('./words.js').Health | null} health
 * @property {string} botName
 * @property {boolean | null} humanMode null until the service has said so
 * @property {string | null} refusal why this caller may not switch human mode
 * @property {boolean} isSwitching
 *
 * @param {HTMLElement} el the page
 * @param {{ api: import('./api.js').Api, parts: Element[] }} options
 *   parts: who is told; a part that comes later is added here
 * @listens CustomEvent#setHumanMode detail: {enabled}
 * @listens CustomEvent#linkChange detail: {works}, from a panel's socket
 * @fires CustomEvent#linkUp to the parts: the server answers
 * @fires CustomEvent#lineDown to the parts: the browser is offline
 * @fires CustomEvent#notice to the parts: what did not work
 */
export function followService(el, { api, parts }) {
  /** @type {Service} */
  let service = {
    link: { browserOnline: navigator.onLine, heartbeat: null, socket: null },
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
      if (works) tellAll('linkUp', null);
    },
  });

  hear(el, 'setHumanMode', ({ enabled }) => setHumanMode(enabled));
  hear(el, 'linkChange', ({ works }) => changeLink({ socket: works }));
  window.addEventListener('online', followBrowser);
  window.addEventListener('offline', followBrowser);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) heartbeat.wake();
  });

  return {
    start: heartbeat.start,
    isReachable: heartbeat.probe,
    /** A part has joined: it gets the news so far. @param {Element} part */
    add(part) {
      parts.push(part);
      tell(part, 'service', service);
    },
  };

  function followBrowser() {
    changeLink({ browserOnline: navigator.onLine });
    if (navigator.onLine) heartbeat.wake();
    else tellAll('lineDown', null);
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
      else tellAll('notice', `Could not switch human mode. ${error.message}`);
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
    tellAll('service', service);
  }

  /** @param {string} name @param {any} detail */
  function tellAll(name, detail) {
    for (const part of parts) tell(part, name, detail);
  }
}
