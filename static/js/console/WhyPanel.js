import { ApiError } from '../api.js';
import { h, hear, icon, setText } from '../dom.js';
import { turnEntry } from './TurnEntry.js';

/**
 * Why the bot said what it said: every decision of one conversation.
 *
 * @param el `.why-panel`
 * @listens open detail: {conversation, turnId}
 * @listens conversation what is open now; its turns are read again
 * @listens close
 */
export function WhyPanel(el, { api }) {
  let conversationId = '';
  let lastId = null;
  let opener = null;

  const close = h('button', { type: 'button', class: 'icon-button', 'aria-label': 'Close', title: 'Close' });
  close.append(icon('close'));
  const body = h('div', { class: 'turns', tabindex: '0', role: 'region', 'aria-label': 'Decisions' });
  const note = h('p', { class: 'note', 'aria-live': 'polite' });
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
    const chosen = turns.find((one) => one.dataset.id === turnId) ?? turns[0];
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
    if (opener?.isConnected) opener.focus();
  }

  async function read() {
    const id = conversationId;
    try {
      const [{ items }, bookings] = await Promise.all([api.turns(id), api.bookings(id)]);
      if (id !== conversationId) return;
      const opened = new Set([...body.querySelectorAll('[open]')].map((one) => one.dataset.id));
      setText(note, items.length === 0 && bookings.items.length === 0 ? 'The bot has decided nothing here yet.' : '');
      body.replaceChildren(...bookings.items.map(booking), ...items.map((turn) => turnEntry(turn, opened.has(turn.id))));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(note, error.message);
    }
  }
}

function booking(one) {
  const when = new Date(one.start).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  const facts = [one.name, one.email ?? one.phone, when, one.topic, one.state];
  return h('p', { class: 'booking' }, icon('calendar'), h('span', {}, facts.filter(Boolean).join(' · ')));
}
