import { ask, find, h, hear, icon, reconcile, setText } from '../dom.js';
import { initial } from '../words.js';
import { movedTo } from './deskLogic.js';
import { lastLine, shortTime, stateBadge } from './deskWords.js';

const FILTERS = [
  ['', 'All'],
  ['handover_pending', 'Waiting'],
  ['human', 'Human'],
  ['ai', 'AI'],
];
const TICK_MS = 30_000; // "3 min" grows old

/**
 * Every conversation, the waiting ones first.
 *
 * @param el `.conversation-list`
 * @listens conversations detail: {list, waiting, wanted, hasMore, isLoading, selected}
 * @listens focusSelected
 * @fires selectConversation detail: {id}
 * @fires wantConversations detail: {filter?, query?}
 * @fires moreConversations
 */
export function ConversationList(el) {
  let state = null;
  const search = h('input', { type: 'search', id: 'search', placeholder: 'Search', autocomplete: 'off' });
  const filters = h('div', { class: 'filters', role: 'group', 'aria-label': 'Show' });
  const list = h('ul', { role: 'listbox', 'aria-label': 'Conversations' });
  const empty = h('p', { class: 'empty' });
  const more = h('button', { type: 'button', class: 'button -quiet more' }, 'Show more');
  const scroller = h('div', { class: 'rows' }, list, empty, more);
  el.setAttribute('aria-label', 'Conversations');
  el.append(
    h('div', { class: 'search' }, icon('search'), h('label', { for: 'search', class: 'visually-hidden' }, 'Search conversations'), search),
    filters,
    scroller,
  );
  for (const [filter, label] of FILTERS) {
    const button = h('button', { type: 'button', class: 'filter', 'data-filter': filter }, label);
    button.append(h('span', { class: 'count' }));
    button.addEventListener('click', () => ask(el, 'wantConversations', { filter }));
    filters.append(button);
  }

  hear(el, 'conversations', update);
  hear(el, 'focusSelected', () => selectedRow()?.focus());
  search.addEventListener('input', () => ask(el, 'wantConversations', { query: search.value }));
  search.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') go(event, 0);
  });
  more.addEventListener('click', () => ask(el, 'moreConversations'));
  list.addEventListener('click', ({ target }) => {
    const row = target.closest('[role=option]');
    if (row) ask(el, 'selectConversation', { id: row.dataset.key });
  });
  list.addEventListener('keydown', (event) => {
    const ids = state.list.map((one) => one.id);
    const focused = document.activeElement?.closest('[role=option]');
    const here = focused?.dataset.key ?? null;
    const isOpening = event.key === 'Enter' || event.key === ' ';
    const id = isOpening ? here : movedTo(ids, here, event.key);
    if (id) go(event, ids.indexOf(id));
  });
  setInterval(() => state && update(state), TICK_MS);

  function go(event, index) {
    const id = state.list[index]?.id;
    if (!id) return;
    event.preventDefault();
    ask(el, 'selectConversation', { id });
    selectedRow()?.focus();
  }

  function selectedRow() {
    return list.querySelector('[aria-selected=true]');
  }

  function update(next) {
    state = next;
    const { list: rows, selected, wanted, hasMore, isLoading, waiting } = next;
    const isSelectedShown = rows.some(({ id }) => id === selected?.id);
    const stop = isSelectedShown ? selected.id : rows[0]?.id; // one tab stop for the list
    reconcile(list, rows, {
      create: createRow,
      update: (row, one) => updateRow(row, one, { isSelected: one.key === selected?.id, isStop: one.key === stop }),
    });
    for (const button of filters.children) {
      const { filter } = button.dataset;
      button.setAttribute('aria-pressed', String(filter === wanted.filter));
      if (filter === 'handover_pending') setText(find(button, '.count'), waiting ? String(waiting) : '');
    }
    more.hidden = !hasMore;
    empty.hidden = rows.length > 0;
    setText(empty, isLoading ? 'Loading…' : emptyText(wanted));
  }
}

function emptyText({ query, filter }) {
  if (query) return 'No conversation matches.';
  if (filter === 'handover_pending') return 'Nobody is waiting.';
  return filter ? 'None at the moment.' : 'No conversations yet. They appear here by themselves.';
}

function createRow() {
  return h(
    'li',
    { role: 'option', class: 'conversation' },
    h('span', { class: 'avatar', 'aria-hidden': 'true' }),
    h('span', { class: 'name' }),
    h('time'),
    h('span', { class: 'last' }),
    h('span', { class: 'marks' }, h('span', { class: 'channel' }), h('span', { class: 'badge' }), h('span', { class: 'unread' })),
  );
}

function updateRow(el, one, { isSelected, isStop }) {
  const badge = stateBadge(one.state);
  el.setAttribute('aria-selected', String(isSelected));
  el.tabIndex = isStop ? 0 : -1;
  el.classList.toggle('-unread', one.unread > 0);
  setText(find(el, '.avatar'), initial(one.name));
  setText(find(el, '.name'), one.name);
  setText(find(el, 'time'), shortTime(one.activeAt, Date.now()));
  find(el, 'time').dateTime = one.activeAt;
  setText(find(el, '.last'), lastLine(one.last));
  setText(find(el, '.channel'), one.channel === 'web' ? 'Web' : 'Chatwoot');
  setText(find(el, '.badge'), badge.text);
  find(el, '.badge').dataset.tone = badge.tone;
  const unread = find(el, '.unread');
  unread.hidden = one.unread === 0;
  setText(unread, String(one.unread));
  unread.setAttribute('aria-label', `${one.unread} unread`);
  unread.setAttribute('role', 'img');
}
