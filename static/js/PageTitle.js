import { hear } from './dom.js';

/**
 * Count what arrived while nobody looked, in the title of the browser tab.
 *
 * @param el the page
 * @listens service detail: {botName}
 * @listens messagesArrived detail: {count}
 */
export function PageTitle(el) {
  let name = '';
  let unseen = 0;

  hear(el, 'service', ({ health, botName }) => {
    name = health ? botName : '';
    show();
  });
  hear(el, 'messagesArrived', ({ count }) => {
    if (!document.hidden) return;
    unseen += count;
    show();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    unseen = 0;
    show();
  });

  function show() {
    const count = unseen > 0 ? `(${unseen}) ` : '';
    const title = name ? `${count}Chat with ${name}` : 'Chat';
    if (document.title !== title) document.title = title;
  }
}
