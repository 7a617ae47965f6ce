import { h } from '../dom.js';
import { safeHref } from '../links.js';
import { duration, moneyText, outcomeText, reasonText, valueText } from './deskWords.js';

/**
 * One decision of the bot, to be unfolded.
 *
 * @param turn as the server writes it
 */
export function turnEntry(turn, isOpen) {
  const at = new Date(turn.created_at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  const summary = h(
    'summary',
    {},
    h('span', { class: 'what' }, reasonText(turn.reason)),
    h('span', { class: 'meta' }, `${reasonText(turn.decision)} · ${turn.outcome} · ${at}`),
  );
  const entry = h('details', { class: 'turn', 'data-id': turn.id }, summary, facts(turn));
  if (isOpen) entry.setAttribute('open', '');
  for (const tool of turn.tools ?? []) entry.append(toolCall(tool));
  if (turn.sources?.length) entry.append(h('h3', {}, 'Sources'), sourceList(turn.sources));
  if (turn.draft) entry.append(h('h3', {}, 'Superseded draft'), h('p', { class: 'quote' }, turn.draft));
  if (turn.replies?.length) entry.append(h('h3', {}, 'Delivery'), h('ul', {}, ...turn.replies.map(delivery)));
  return entry;
}

function facts({ model, tokens, cost, currency, latency_ms }) {
  const rows = [
    ['Model', model ?? 'none'],
    ['Tokens', tokens?.toLocaleString() ?? '–'],
    ['Cost', moneyText(cost, currency)],
    ['Time', duration(latency_ms)],
  ];
  return h('dl', {}, ...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, String(value)))));
}

function toolCall({ name, arguments: given, result, ok, ms }) {
  const call = h('div', { class: 'tool' }, h('h3', {}, 'Tool ', h('code', {}, name)));
  if (ok !== undefined) call.append(h('p', { class: 'meta' }, outcomeText(ok, ms)));
  call.append(h('pre', { tabindex: '0' }, valueText(given)));
  if (result !== undefined) call.append(h('p', { class: 'meta' }, 'Result'), h('pre', { tabindex: '0' }, valueText(result)));
  return call;
}

function sourceList(sources) {
  return h('ul', {}, ...sources.map((one) => h('li', {}, source(one))));
}

function source({ title, url }) {
  const href = url ? safeHref(url) : null;
  if (href === null) return title;
  return h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, title || url);
}

function delivery({ kind, state, attempts, error }) {
  const times = attempts > 0 && (attempts === 1 ? '1 attempt' : `${attempts} attempts`);
  return h('li', {}, [reasonText(kind), state, times, error].filter(Boolean).join(' · '));
}
