/** Every sentence of the console that depends on something. Pure. */

import { dayLabel } from '../words.js';

/** @typedef {import('../words.js').Chip} Chip */

const STATES = {
  ai: { text: 'AI', tone: 'quiet' },
  handover_pending: { text: 'Waiting', tone: 'warn' },
  human: { text: 'Human', tone: 'good' },
};
const REASONS = {
  asked_for_human: 'Asked for a human',
  handover_requested: 'Asked for a human',
  responder_failed: 'The model could not answer',
  max_bot_turns: 'The bot has answered as often as it may',
  human_mode: 'Human mode is on',
  agent_joined: 'An agent joined',
  taken_over: 'An agent took over',
  released: 'Given back to the bot',
  resolved: 'Resolved',
  contact_message: 'The contact wrote',
};

/** @param {string} state @returns {Chip} */
export function stateBadge(state) {
  return /** @type {Chip} */ (STATES[/** @type {keyof typeof STATES} */ (state)] ?? STATES.ai);
}

/** @param {string | null} reason the rule's name */
export function reasonText(reason) {
  if (!reason) return '';
  const known = REASONS[/** @type {keyof typeof REASONS} */ (reason)];
  const words = reason.replaceAll('_', ' ');
  return known ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {string} name */
export function waitingNews(name) {
  return `${name} is waiting for a human.`;
}

/** @param {{ sender: string, content: string | null } | null} last */
export function lastLine(last) {
  if (!last) return 'No messages yet';
  const who = { agent: 'You: ', ai: 'Bot: ' }[last.sender] ?? '';
  return who + (last.content ?? 'Message deleted').replace(/\s+/g, ' ').slice(0, 120);
}

/**
 * As short as a list needs it.
 *
 * @param {string} iso
 * @param {number} now ms
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

/**
 * What an agent may do with a conversation.
 *
 * @param {string} state
 * @returns {{ what: string, label: string, isMain: boolean }[]}
 */
export function moves(state) {
  const takeOver = { what: 'takeover', label: 'Take over', isMain: true };
  const release = { what: 'release', label: 'Give back to bot', isMain: state === 'human' };
  const resolve = { what: 'resolve', label: 'Resolve', isMain: false };
  if (state === 'ai') return [takeOver, resolve];
  return state === 'human' ? [release, resolve] : [takeOver, release, resolve];
}

/** What the agent's composer says. @param {string} state */
export function composerHint(state) {
  if (state === 'human') return 'Write a message…';
  return state === 'ai' ? 'The bot answers. Write to take over…' : 'Write to take over…';
}

/** @param {number} count */
export function deadLetterText(count) {
  return count === 1 ? '1 dead letter' : `${count} dead letters`;
}

/** @param {string} kind reply or delivery @param {number | null} number Chatwoot's */
export function deadLetterTitle(kind, number) {
  const what = kind === 'reply' ? 'Reply that was not delivered' : 'Delivery not understood';
  return number ? `${what}, conversation ${number}` : what;
}

/**
 * @param {{ due: number, running: number }} load conversations without and with a worker
 * @returns {{ queue: Chip, running: Chip }}
 */
export function loadChips({ due, running }) {
  return {
    queue: { text: `Queue: ${due}`, tone: due > LONG_QUEUE ? 'warn' : 'good' },
    running: { text: `Turns: ${running}`, tone: 'good' },
  };
}
const LONG_QUEUE = 20;

/** @param {any} circuit @param {string} name @returns {Chip} */
export function circuitChip(name, circuit) {
  if (circuit === 'open') return { text: `${name}: failing`, tone: 'bad' };
  if (circuit === 'half_open') return { text: `${name}: trying again`, tone: 'warn' };
  return { text: `${name}: well`, tone: 'good' };
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** A value of a tool call, as the panel shows it. @param {unknown} value */
export function valueText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
