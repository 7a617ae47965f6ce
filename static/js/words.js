/**
 * Every sentence the page says by itself, so wording is in one place and the
 * rules behind it are tested. Pure.
 *
 * A chip is {text, tone, title?}, a tone good, bad, warn or quiet; a link is
 * {browserOnline, heartbeat, socket}, where null is not known yet.
 */

/**
 * Who speaks in a transcript, as its reader sees them: who is on the `own` side,
 * `names` and `initials` by sender, and `decorate(line, message)`, which adds what
 * the reader may do with a message.
 *
 * @param other what differs from the visitor's view
 */
export function peopleFor(botName, other = {}) {
  const names = { user: 'You', ai: 'Bot', agent: 'Human Agent', system: 'System', ...other.names };
  const initials = {
    user: initial(names.user),
    ai: initial(botName),
    agent: initial(names.agent),
    system: initial(names.system),
  };
  return { own: ['user'], initials, ...other, names };
}

export function initial(name) {
  // Iterating keeps an emoji or a letter outside the BMP in one piece.
  const [first = 'B'] = name.trim();
  return first.toUpperCase();
}

export function linkState({ browserOnline, heartbeat, socket }) {
  if (!browserOnline) return 'offline';
  if (heartbeat === false || socket === false) return 'reconnecting';
  return heartbeat === null && socket === null ? 'connecting' : 'online';
}

const CONNECTION = {
  offline: { text: 'You are offline', tone: 'bad' },
  reconnecting: { text: 'Reconnecting…', tone: 'warn' },
  connecting: { text: 'Connecting…', tone: 'quiet' },
  online: { text: 'Connected', tone: 'good' },
};

export function connectionStatus(link, health) {
  const state = linkState(link);
  if (state === 'online' && health?.status === 'not_ready') {
    return { text: 'Service not ready', tone: 'warn', title: notReadyParts(health) };
  }
  return CONNECTION[state];
}

function notReadyParts(health) {
  const broken = ['database', 'worker'].filter((part) => health[part]?.ok === false);
  return broken.length > 0 ? `Not working: ${broken.join(', ')}` : '';
}

export function modelChip(health) {
  const { responder, model } = health?.llm ?? {};
  const text = responder === 'mock' ? 'mock' : (model ?? responder ?? 'unknown model');
  if (isBroken(health?.llm)) {
    return { text, tone: 'bad', title: 'The model is not answering at the moment.' };
  }
  const title =
    responder === 'mock'
      ? 'Answers come from the built-in mock; no key is needed.'
      : `Answers are written by ${text}.`;
  return { text, tone: 'quiet', title };
}

export function chatwootChip(health) {
  if (!health?.chatwoot?.configured) {
    return {
      text: 'Chatwoot not connected',
      tone: 'quiet',
      title: 'This page works without it. “chatwoot-bot setup” connects an inbox.',
    };
  }
  if (isBroken(health.chatwoot)) {
    return {
      text: 'Chatwoot unreachable',
      tone: 'bad',
      title: 'Replies are kept and delivered when Chatwoot answers again.',
    };
  }
  return { text: 'Chatwoot connected', tone: 'good', title: 'An inbox is connected.' };
}

/** part: a half-open circuit is already trying again; a refused key opens none */
function isBroken(part) {
  return part?.circuit === 'open' || part?.ok === false || Boolean(part?.last_error);
}

export function humanModeNote(enabled) {
  return enabled
    ? 'Human mode is on. The bot stays silent in every chat.'
    : 'Human mode is off. The bot answers again.';
}

export function humanModeTitle(enabled) {
  return enabled
    ? 'The bot is silent in every chat. Press to let it answer again.'
    : 'The bot answers. Press to make it silent in every chat.';
}

/** Who answers in this chat; holder: the conversation's state. */
export function holderChip(holder, humanMode) {
  if (holder === 'human') return { text: 'With a human', tone: 'good' };
  if (holder === 'handover_pending') return { text: 'Waiting', tone: 'warn' };
  return humanMode
    ? { text: 'Bot is silent', tone: 'warn' }
    : { text: 'Bot answers', tone: 'quiet' };
}

export function bannerFor(holder, humanMode) {
  if (holder === 'handover_pending') {
    return {
      kind: 'pending',
      text: 'Waiting for a human…',
      detail: 'You can keep writing. They will see everything.',
      canReturn: true,
    };
  }
  if (holder === 'human') {
    return {
      kind: 'human',
      text: 'You are talking with a human.',
      detail: 'The bot stays out of it.',
      canReturn: true,
    };
  }
  if (humanMode) {
    return {
      kind: 'silent',
      text: 'Human mode is on.',
      detail: 'The bot is silent; a person will answer.',
      canReturn: false,
    };
  }
  return null;
}

/** What the chat says when somebody else now holds it; null: the banner says enough. */
export function holderNote(before, after) {
  if (before === after) return null;
  if (after === 'human') return 'A human agent has joined the chat.';
  if (after === 'ai') return 'You are back with the bot.';
  return null;
}

export function deliveryText(message, showsSent) {
  if (message.delivery === 'sending') return 'Sending…';
  if (message.delivery === 'waiting') return 'Waiting for the connection';
  if (message.delivery === 'failed') return `Not sent. ${message.problem ?? ''}`.trim();
  return showsSent ? 'Sent' : '';
}

/** now: ms; timeZone: the reader's own when left out */
export function dayLabel(iso, now, timeZone) {
  const day = (at) => dateFormat('en-CA', { timeZone }).format(at);
  const at = Date.parse(iso);
  if (day(at) === day(now)) return 'Today';
  if (day(at) === day(now - 86_400_000)) return 'Yesterday';
  const year = day(at).slice(0, 4) === day(now).slice(0, 4) ? undefined : 'numeric';
  const options = { weekday: 'long', day: 'numeric', month: 'long', year, timeZone };
  return dateFormat('en', options).format(at);
}

/** Making one is slow, a long chat needs it often. */
const formats = new Map();

function dateFormat(locale, options) {
  const key = JSON.stringify([locale, options]);
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, options);
  formats.set(key, known);
  return known;
}

export function jumpText(unread) {
  if (unread === 0) return 'Newest messages';
  return unread === 1 ? '1 new message' : `${unread} new messages`;
}

export const GONE_NOTE =
  'The earlier chat is no longer on the server, so this is a fresh start.';
