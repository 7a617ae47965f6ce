import { ask, h, hear } from './dom.js';

/**
 * The bot's suggestions for an answer, as buttons below its words.
 *
 * @param el `.quick-replies`
 * @listens choices detail: {options}
 * @fires sendMessage detail: {text}
 */
export function QuickReplies(el) {
  let shown = '';

  hear(el, 'choices', ({ options }) => {
    const next = JSON.stringify(options);
    if (next === shown) return; // keep the focus
    shown = next;
    el.hidden = options.length === 0;
    el.replaceChildren(
      ...options.map(({ title, value }) => {
        const button = h('button', { type: 'button', class: 'button choice' }, title);
        button.addEventListener('click', () => ask(el, 'sendMessage', { text: value }));
        return button;
      }),
    );
  });
}
