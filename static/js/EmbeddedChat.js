import { createApi } from './api.js';
import { find, h, hear } from './dom.js';
import { followService } from './service.js';
import { createStore } from './storage.js';
import { VisitorChat } from './VisitorChat.js';

/**
 * The visitor's chat alone, inside another site's page; `widget.js` opens it.
 *
 * @param el `.demo-page`
 */
export function mount(el) {
  const chat = find(el, '.visitor-chat');
  const close = find(chat, '.close-chat');
  const store = createStore();
  const api = createApi({ visitor: () => store.read('chat') });
  const service = followService(el, { api, parts: [chat], isOperator: false });

  VisitorChat(chat, { api, store, isReachable: service.isReachable });
  hear(el, 'messagesArrived', ({ count }) => tellWidget({ arrived: count }));
  chat.prepend(h('h1', { class: 'visually-hidden' }, 'Chat'));
  close.hidden = window.parent === window;
  close.addEventListener('click', () => tellWidget({ close: true }));
  document.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') tellWidget({ close: true });
  });
  service.start();
}

/** Nothing of the chat itself: whoever frames us may hear it. */
function tellWidget(news) {
  window.parent.postMessage({ chatwootBot: news }, '*');
}
