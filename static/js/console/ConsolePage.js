import { AppHeader } from '../AppHeader.js';
import { createApi } from '../api.js';
import { find, hear, tell } from '../dom.js';
import { followService } from '../service.js';
import { AgentConsole } from './AgentConsole.js';

/**
 * The console alone, for real use.
 *
 * @param el `.demo-page`
 */
export function ConsolePage(el) {
  const header = find(el, '.app-header');
  const desk = find(el, '.agent-console');
  const service = followService(el, { api: createApi(), parts: [header, desk] });

  AppHeader(header);
  AgentConsole(desk, { isReachable: service.isReachable });
  hear(el, 'deskLink', ({ works }) => tell(el, 'linkChange', { works }));
  hear(document.body, 'waiting', ({ count }) => {
    document.title = count > 0 ? `(${count}) Agent console` : 'Agent console';
  });
  service.start();
}
