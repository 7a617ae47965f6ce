import { ApiError } from '../api.js';
import { h, hear, icon, setText } from '../dom.js';
import { duration, reasonText, valueText } from './deskWords.js';

/**
 * Why the bot said what it said: every decision of one conversation.
 *
 * @param {HTMLElement} el `.why-panel`
 * @param {{ api: import('./agentApi.js').AgentApi }} tools
 * @listens CustomEvent#open detail: {conversation, turnId}
 * @listens CustomEvent#conversation what is open now; its turns are read again
 * @listens CustomEvent#close
 */
export function WhyPanel(el, { api }) {
  let conversationId = '';
  let lastId = /** @type {number | null} */ (null);
  /** @type {Element | null} */
  let opener = null;

  const close = h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close', title: 'Close' });
  close.append(icon('close'));
  const body = h('div', { class: 'turns', tabindex: '0', role: 'region', 'aria-label': 'Decisions' });
  const note = h('p', { class: 'note', role: 'status' });
  el.hidden = true;
  el.setAttribute('aria-label', 'Why');
  el.append(h('header', { class: 'view-head' }, h('h2', { class: 'name' }, 'Why'), close), note, body);

  hear(el, 'open', async ({ conversation, turnId }) => {
    opener = document.activeElement;
    conversationId = conversation.id;
    lastId = conversation.last?.id ?? null;
    el.hidden = false;
    close.focus();
    body.replaceChildren();
    setText(note, 'Loading…');
    await read();
    const turns = [...body.querySelectorAll('details.turn')];
    const chosen = turns.find((one) => /** @type {any} */ (one).dataset.id === turnId) ?? turns[0];
    if (!chosen) return;
    chosen.setAttribute('open', '');
    chosen.scrollIntoView({ block: 'nearest' });
  });
  hear(el, 'conversation', (conversation) => {
    if (el.hidden || conversation?.id !== conversationId) return;
    if (conversation.last?.id === lastId) return;
    lastId = conversation.last?.id ?? null;
    read();
  });
  hear(el, 'close', () => hide());
  close.addEventListener('click', () => hide());
  el.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') hide();
  });

  function hide() {
    if (el.hidden) return;
    el.hidden = true;
    if (opener?.isConnected) /** @type {HTMLElement} */ (opener).focus();
  }

  async function read() {
    const id = conversationId;
    try {
      const [{ items }, bookings] = await Promise.all([api.turns(id), api.bookings()]);
      if (id !== conversationId) return;
      const opened = new Set([...body.querySelectorAll('[open]')].map((one) => /** @type {any} */ (one).dataset.id));
      const mine = bookings.items.filter((/** @type {any} */ one) => one.conversation_id === id);
      setText(note, items.length === 0 && mine.length === 0 ? 'The bot has decided nothing here yet.' : '');
      body.replaceChildren(...mine.map(booking), ...newestFirst(items).map((turn) => turnEntry(turn, opened)));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(note, error.message);
    }
  }
}

/** @param {any[]} turns */
function newestFirst(turns) {
  return turns.toSorted((a, b) => b.created_at.localeCompare(a.created_at));
}

/** @param {any} turn @param {Set<string>} opened */
function turnEntry(turn, opened) {
  const at = new Date(turn.created_at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const summary = h(
    'summary',
    {},
    h('span', { class: 'what' }, reasonText(turn.reason)),
    h('span', { class: 'meta' }, `${reasonText(turn.decision)} · ${turn.outcome} · ${at}`),
  );
  const entry = h('details', { class: 'turn', 'data-id': turn.id }, summary, facts(turn));
  if (opened.has(turn.id)) entry.setAttribute('open', '');
  for (const tool of turn.tools ?? []) entry.append(toolCall(tool));
  if (turn.sources?.length) entry.append(h('h3', {}, 'Sources'), sourceList(turn.sources));
  if (turn.draft) entry.append(h('h3', {}, 'Superseded draft'), h('p', { class: 'quote' }, turn.draft));
  if (turn.replies?.length) entry.append(h('h3', {}, 'Delivery'), h('ul', {}, ...turn.replies.map(delivery)));
  return entry;
}

/** @param {any} turn */
function facts({ model, tokens, cost, latency_ms }) {
  const rows = [
    ['Model', model ?? 'none'],
    ['Tokens', tokens ?? '–'],
    ['Cost', typeof cost === 'number' ? `$${cost.toFixed(4)}` : '–'],
    ['Time', duration(latency_ms)],
  ];
  return h('dl', {}, ...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, String(value)))));
}

/** @param {any} tool */
function toolCall({ name, arguments: given, result }) {
  const call = h('div', { class: 'tool' }, h('h3', {}, 'Tool ', h('code', {}, name)));
  call.append(h('pre', { tabindex: '0' }, valueText(given)));
  if (result !== undefined) call.append(h('p', { class: 'meta' }, 'Result'), h('pre', { tabindex: '0' }, valueText(result)));
  return call;
}

/** @param {any[]} sources */
function sourceList(sources) {
  return h('ul', {}, ...sources.map((one) => h('li', {}, one.title ?? one.source ?? valueText(one))));
}

/** @param {any} one */
function delivery({ kind, state, attempts, error }) {
  const times = attempts > 0 && (attempts === 1 ? '1 attempt' : `${attempts} attempts`);
  return h('li', {}, [reasonText(kind), state, times, error].filter(Boolean).join(' · '));
}

/** @param {any} one */
function booking(one) {
  const facts = [one.name, one.email_or_phone ?? one.email ?? one.phone, one.preferred_time ?? one.start, one.topic];
  return h('p', { class: 'booking' }, icon('calendar'), h('span', {}, facts.filter(Boolean).join(' · ')));
}
