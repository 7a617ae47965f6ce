import { ask, find, h, icon, setText } from './dom.js';
import { linkSegments } from './links.js';
import { dayLabel, deliveryText } from './words.js';

/** What each element shows, to leave alone what did not change. */
const shown = new WeakMap();

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });

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
      h('div', { class: 'line' }, h('p', { class: 'bubble', dir: 'auto' })),
      h('div', { class: 'delivery' }),
    ),
  );
}

export function updateRow(el, row, people) {
  if (row.kind === 'day') {
    setText(find(el, 'span'), dayLabel(row.at, Date.now()));
    return;
  }
  const before = shown.get(el);
  if (isUnchanged(before, row, people)) return;
  shown.set(el, { ...row, people });
  const { message, starts } = row;
  const { sender, delivery } = message;
  const isDeleted = message.deletedAt !== null || message.content === null;
  el.className = `message -${sender} -${delivery}`;
  el.classList.toggle('-own', people.own.includes(sender));
  el.classList.toggle('-starts', starts);
  el.classList.toggle('-deleted', isDeleted);
  // A screen reader hears the finished words, not each piece of them.
  el.setAttribute('aria-busy', String(delivery === 'streaming'));
  setText(find(el, '.avatar'), people.initials[sender] ?? '');
  setText(find(el, '.sender'), people.names[sender] ?? people.names.system);
  showTime(find(el, 'time'), message);
  if (before?.message.content !== message.content) {
    showText(find(el, '.bubble'), message.content ?? 'This message was deleted.');
  }
  showDelivery(find(el, '.delivery'), row);
  people.decorate?.(find(el, '.line'), message);
}

function isUnchanged(before, row, people) {
  return (
    before?.message === row.message &&
    before.starts === row.starts &&
    before.showsSent === row.showsSent &&
    before.people === people
  );
}

function showTime(el, { createdAt, editedAt }) {
  const at = new Date(createdAt);
  el.dateTime = createdAt;
  el.title = fullTime.format(at);
  setText(el, editedAt ? `${clock.format(at)} · edited` : clock.format(at));
}

/** Text nodes and checked links only: the text is a stranger's. */
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

function showDelivery(el, { message, showsSent }) {
  const text = deliveryText(message, showsSent);
  const state = text === '' ? '' : message.delivery;
  if (el.dataset.state === state && el.textContent?.startsWith(text)) return;
  el.dataset.state = state;
  if (state === 'failed') {
    const { clientId } = message;
    const retry = wishButton(el, 'text-button', 'retryMessage', { clientId });
    const edit = wishButton(el, 'text-button', 'editMessage', { clientId });
    retry.append('Retry');
    edit.append('Edit');
    el.replaceChildren(h('span', {}, text), retry, edit);
  } else if (state === 'sent') el.replaceChildren(icon('check'), h('span', {}, text));
  else el.replaceChildren(text);
}

/** A button that asks the owner for something. */
export function wishButton(el, kind, wish, detail) {
  const made = h('button', { type: 'button', class: kind });
  made.addEventListener('click', () => ask(el, wish, detail));
  return made;
}
