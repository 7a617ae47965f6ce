import { ask, find, h, icon, setText } from './dom.js';
import { linkSegments } from './links.js';
import { dayLabel, deliveryText, senderInitial, senderLabel } from './words.js';

/**
 * @typedef {import('./logic.js').Row} Row
 * @typedef {import('./logic.js').MessageRow} MessageRow
 */

/** To leave alone what did not change. @type {WeakMap<Element, any>} what each element shows */
const shown = new WeakMap();

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

/** @param {Row} row @returns {HTMLElement} */
export function createRow(row) {
  if (row.kind === 'day') return h('li', { class: 'day' }, h('span'));
  return h(
    'li',
    {},
    h('span', { class: 'avatar', 'aria-hidden': 'true' }),
    h(
      'div',
      { class: 'body' },
      h('p', { class: 'meta' }, h('span', { class: 'sender' }), ' ', h('time')),
      h('p', { class: 'bubble', dir: 'auto' }),
      h('div', { class: 'delivery' }),
    ),
  );
}

/** @param {HTMLElement} el @param {Row} row @param {string} botName */
export function updateRow(el, row, botName) {
  if (row.kind === 'day') {
    setText(find(el, 'span'), dayLabel(row.at, Date.now()));
    return;
  }
  const before = shown.get(el);
  if (isUnchanged(before, row, botName)) return;
  shown.set(el, { ...row, botName });
  const { message, starts } = row;
  const isDeleted = message.deletedAt !== null || message.content === null;
  el.className = `message -${message.sender} -${message.delivery}`;
  el.classList.toggle('-starts', starts);
  el.classList.toggle('-deleted', isDeleted);
  setText(find(el, '.avatar'), senderInitial(message.sender, botName));
  setText(find(el, '.sender'), senderLabel(message.sender));
  showTime(find(el, 'time'), message);
  if (before?.message.content !== message.content) {
    showText(find(el, '.bubble'), message.content ?? 'This message was deleted.');
  }
  showDelivery(find(el, '.delivery'), row);
}

/** @param {any} before @param {MessageRow} row @param {string} botName */
function isUnchanged(before, row, botName) {
  return (
    before?.message === row.message &&
    before.starts === row.starts &&
    before.showsSent === row.showsSent &&
    before.botName === botName
  );
}

/** @param {HTMLTimeElement} el @param {import('./logic.js').Message} message */
function showTime(el, { createdAt, editedAt }) {
  const at = new Date(createdAt);
  el.dateTime = createdAt;
  el.title = fullTime.format(at);
  setText(el, editedAt ? `${clock.format(at)} · edited` : clock.format(at));
}

/**
 * Text nodes and checked links only: the text is a stranger's.
 *
 * @param {Element} el
 * @param {string} text
 */
function showText(el, text) {
  const parts = linkSegments(text).map((segment) =>
    segment.href === null
      ? segment.text
      : h(
          'a',
          { href: segment.href, target: '_blank', rel: 'noopener noreferrer nofollow' },
          segment.text,
        ),
  );
  el.replaceChildren(...parts);
}

/** @param {HTMLElement} el @param {MessageRow} row */
function showDelivery(el, { message, showsSent }) {
  const text = deliveryText(message, showsSent);
  const state = text === '' ? '' : message.delivery;
  if (el.dataset.state === state && el.textContent?.startsWith(text)) return;
  el.dataset.state = state;
  if (state === 'failed') el.replaceChildren(h('span', {}, text), ...failedButtons(el, message));
  else if (state === 'sent') el.replaceChildren(icon('check'), h('span', {}, text));
  else el.replaceChildren(text);
}

/** @param {HTMLElement} el @param {import('./logic.js').Message} message */
function failedButtons(el, { clientId }) {
  return [button('Retry', 'retryMessage'), button('Edit', 'editMessage')];

  /** @param {string} label @param {string} wish */
  function button(label, wish) {
    const made = h('button', { type: 'button', class: 'text-button' }, label);
    made.addEventListener('click', () => ask(el, wish, { clientId }));
    return made;
  }
}
