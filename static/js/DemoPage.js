import { AppHeader } from './AppHeader.js';
import { createApi } from './api.js';
import { find, hear, loadStyle, tell } from './dom.js';
import { PageTitle } from './PageTitle.js';
import { followService } from './service.js';
import { createStore } from './storage.js';
import { VisitorChat } from './VisitorChat.js';

/**
 * The demo: the visitor's chat, and the agent console beside it, which is
 * loaded when the chat is there.
 *
 * @param el `.demo-page`
 */
export function mount(el) {
  const header = find(el, '.app-header');
  const chat = find(el, '.visitor-chat');
  const desk = find(el, '.agent-console');
  const tabs = find(el, '.tab-bar');
  const store = createStore();
  const api = createApi({ visitor: () => store.read('chat') });
  const service = followService(el, { api, parts: [header, chat, el] });

  let chatId;

  hear(el, 'chatOpened', ({ id }) => {
    chatId = id;
    tell(desk, 'suggest', id);
  });
  AppHeader(header);
  VisitorChat(chat, { api, store, isReachable: service.isReachable });
  PageTitle(el);
  service.start();
  openConsole();

  async function openConsole() {
    const [{ AgentConsole }, { TabBar }] = await Promise.all([
      import('./console/AgentConsole.js'),
      import('./console/TabBar.js'),
      loadStyle('/static/css/console/agent-console.css'),
    ]);
    TabBar(tabs);
    AgentConsole(desk, { isReachable: service.isReachable });
    service.add(desk);
    tell(desk, 'suggest', chatId);
  }
}
