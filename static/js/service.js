import { ApiError } from './api.js';
import { hear, tell } from './dom.js';
import { createHeartbeat } from './heartbeat.js';

/**
 * What all parts of a page share (is the service there, who may speak), handed
 * down to them as `service`: {link, health, botName, humanMode (null: not known),
 * refusal (why this caller may not switch human mode), isSwitching}.
 *
 * @param parts who is told; isOperator: false where only visitors come
 * @listens setHumanMode detail: {enabled}
 * @listens linkChange detail: {works}, from a panel's socket
 * @fires linkUp, lineDown, notice to the parts
 */
export function followService(el, { api, parts, isOperator = true }) {
  let service = {
    link: { browserOnline: navigator.onLine, heartbeat: null, socket: null },
    health: null,
    botName: 'Bot',
    humanMode: null,
    refusal: isOperator ? null : '',
    isSwitching: false,
  };
  const heartbeat = createHeartbeat({
    api,
    isOperator,
    isHidden: () => document.hidden,
    isFollowing: () => service.link.socket === true,
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
    /** A part has joined: it gets the news so far. */
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

  function changeLink(link) {
    const [[name, value]] = Object.entries(link);
    if (Reflect.get(service.link, name) !== value) change({ link: { ...service.link, ...link } });
  }

  function change(part) {
    service = { ...service, ...part };
    tellAll('service', service);
  }

  function tellAll(name, detail) {
    for (const part of parts) tell(part, name, detail);
  }
}
