/** Every sentence of the console that depends on something. Pure. */

import { dayLabel } from '../words.js';

const STATES = {
  ai: { text: 'AI', tone: 'quiet' },
  handover_pending: { text: 'Waiting', tone: 'warn' },
  human: { text: 'Human', tone: 'good' },
};
const REASONS = {
  default: 'Answered the message',
  asked_for_human: 'Asked for a human',
  turn_limit: 'The bot has answered as often as it may',
  rate_limit: 'The contact writes too much',
  spend_limit: 'The model has cost as much as it may',
  guardrail: 'The answer was withheld',
  model_asked: 'The bot called a human',
  model_refused: 'The model refused to answer',
  turn_failed: 'The model could not answer',
  worker_died: 'The service stopped while answering',
  answer_deadline: 'An answer took too long',
  cannot_reply: 'The channel takes no replies now',
  refused: 'Chatwoot refused the reply',
  human_mode: 'Human mode is on',
  state_human: 'A human holds the chat',
  state_handover_pending: 'Waiting for a human',
  agent_joined: 'An agent joined',
  released: 'Given back to the bot',
};

export function stateBadge(state) {
  return STATES[state] ?? STATES.ai;
}

/** reason: the rule's name */
export function reasonText(reason) {
  if (!reason) return '';
  const known = REASONS[reason];
  const words = reason.replaceAll('_', ' ');
  return known ?? words.charAt(0).toUpperCase() + words.slice(1);
}

export function waitingNews(name) {
  return `${name} is waiting for a human.`;
}

export function lastLine(last) {
  if (!last) return 'No messages yet';
  const who = { agent: 'You: ', ai: 'Bot: ' }[last.sender] ?? '';
  return who + (last.content ?? 'Message deleted').replace(/\s+/g, ' ').slice(0, 120);
}

/**
 * As short as a list needs it.
 *
 * @param now ms
 */
export function shortTime(iso, now) {
  const minutes = Math.floor((now - Date.parse(iso)) / 60_000);
  if (minutes < 1) return 'now';
  if (minutes < 60) return `${minutes} min`;
  const day = dayLabel(iso, now);
  const format = day === 'Today' ? CLOCK : DATE;
  return day === 'Yesterday' ? day : format.format(Date.parse(iso));
}
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DATE = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

/** What an agent may do with a conversation. */
export function moves(state) {
  const takeOver = { what: 'takeover', label: 'Take over', isMain: true };
  const release = { what: 'release', label: 'Give back to bot', isMain: state === 'human' };
  const resolve = { what: 'resolve', label: 'Resolve', isMain: false };
  if (state === 'ai') return [takeOver, resolve];
  return state === 'human' ? [release, resolve] : [takeOver, release, resolve];
}

/** What the agent's composer says. */
export function composerHint(state) {
  if (state === 'human') return 'Write a message…';
  return state === 'ai' ? 'The bot answers. Write to take over…' : 'Write to take over…';
}

export function deadLetterText(count) {
  return count === 1 ? '1 dead letter' : `${count} dead letters`;
}

/** kind: reply or delivery number: Chatwoot's */
export function deadLetterTitle(kind, number) {
  const what = kind === 'reply' ? 'Reply that was not delivered' : 'Delivery not understood';
  return number ? `${what}, conversation ${number}` : what;
}

/** @param load conversations without and with a worker */
export function loadChips({ due, running }) {
  return {
    queue: { text: `Queue: ${due}`, tone: due > LONG_QUEUE ? 'warn' : 'good' },
    running: { text: `Turns: ${running}`, tone: 'good' },
  };
}
const LONG_QUEUE = 20;

/** part: of the health; a refused key, for one, fails and opens no circuit */
export function circuitChip(name, { circuit, last_error: error } = {}) {
  if (circuit === 'open') return { text: `${name}: failing`, tone: 'bad' };
  if (circuit === 'half_open') return { text: `${name}: trying again`, tone: 'warn' };
  if (error) return { text: `${name}: failed (${error})`, tone: 'bad' };
  return { text: `${name}: well`, tone: 'good' };
}

export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/**
 * A sum of money, exact enough for what a few tokens cost.
 *
 * @param amount null when no price is known
 * @param currency such as USD
 */
export function moneyText(amount, currency) {
  if (typeof amount !== 'number') return '–';
  const style = { style: 'currency', currency, currencyDisplay: 'narrowSymbol' };
  const digits = amount > 0 && amount < 1 ? { maximumSignificantDigits: 2 } : {};
  return new Intl.NumberFormat(undefined, { ...style, ...digits }).format(amount);
}

/** What became of a tool's call. */
export function outcomeText(ok, ms) {
  return `${ok ? 'Done' : 'Failed'} · ${duration(ms)}`;
}

/** What the model has taken today; nothing before its first answer. */
export function todayText({ tokens, cost }, currency) {
  if (tokens === 0) return '';
  const price = cost > 0 ? ` · ${moneyText(cost, currency)}` : '';
  return `Today: ${tokens.toLocaleString()} tokens${price}`;
}

/** A value of a tool call, as the panel shows it. */
export function valueText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
