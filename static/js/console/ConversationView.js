import { Composer } from '../Composer.js';
import { ask, find, h, hear, icon, reconcile, setText, tell } from '../dom.js';
import { toRows } from '../logic.js';
import { MessageList } from '../MessageList.js';
import { createTypingTeller } from '../typing.js';
import { initial, peopleFor } from '../words.js';
import { composerHint, moves, reasonText, stateBadge } from './deskWords.js';
import { showActions } from './messageActions.js';

const EMPTY = { messages: [], hasOlder: false, isLoading: true, typing: null };

/**
 * One conversation: its transcript, who holds it, and what an agent may do.
 *
 * @param el `.conversation-view`
 * @listens service
 * @listens conversation detail: {selected, transcript, isOnline}
 * @listens draft detail: string, text to put back
 * @listens complaint detail: string, what did not work
 * @fires act detail: {what, failed}
 * @fires say detail: {text}
 * @fires why detail: {turnId}
 * @fires backToList
 */
export function ConversationView(el) {
  let shown = null;
  let messages = [];
  let botName = 'Bot';
  let people = peopleFor(botName);
  let peopleKey = '';
  let editing = null;
  /** answers that are not sent yet, by conversation */
  const halfWritten = new Map();
  let isTaking = false; // asked for, and as good as done: an answer takes over as well
  const teller = createTypingTeller((typing) => ask(el, 'typing', { typing }));

  el.setAttribute('aria-label', 'Conversation');
  el.append(...skeleton());
  const composer = find(el, '.composer');
  const field = find(el, 'textarea');
  const list = find(el, '.message-list');
  const bar = find(el, '.desk-bar');
  MessageList(list);
  Composer(composer);

  hear(el, 'service', (service) => {
    botName = service.botName;
  });
  hear(el, 'conversation', update);
  hear(el, 'draft', (text) => tell(composer, 'draft', text));
  hear(el, 'complaint', (text) => showBar(text, [], { isBad: true }));
  hear(el, 'wrote', ({ text }) => teller.wrote(shown?.state === 'human' ? text : ''));
  hear(composer, 'sendMessage', ({ text }) => submit(text));
  hear(list, 'whyMessage', ({ id }) => ask(el, 'why', { turnId: messageOf(id)?.turnId }));
  hear(list, 'changeMessage', ({ id }) => startEditing(id));
  hear(list, 'deleteMessage', ({ id }) => {
    const remove = () => act((api, at) => api.remove(at, id), 'Could not delete it.');
    showBar('Delete this message for everybody?', [['Delete', remove]], { focus: true });
  });
  find(el, '.back').addEventListener('click', () => ask(el, 'backToList'));
  find(el, '.why').addEventListener('click', () => ask(el, 'why', { turnId: null }));
  find(el, '.moves').addEventListener('click', ({ target }) => {
    const what = target.closest('button')?.dataset.what;
    if (what) move(what);
  });

  function update({ selected, transcript, isOnline }) {
    const isOther = selected?.id !== shown?.id;
    const isMoved = selected?.state !== shown?.state;
    if (isOther && shown && editing === null) halfWritten.set(shown.id, field.value);
    shown = selected;
    find(el, '.nothing').hidden = selected !== null;
    find(el, '.open').hidden = selected === null;
    if (!selected) return;
    if (isOther || isMoved) {
      hideBar();
      isTaking = false;
    }
    if (isOther) tell(composer, 'fill', halfWritten.get(selected.id) ?? '');
    showHead(selected, isOnline);
    choosePeople(selected);
    const view = transcript ?? EMPTY;
    messages = view.messages;
    if (isOther) tell(list, 'fresh', null);
    tell(list, 'messages', { ...view, rows: toRows(messages, { own: 'agent' }), people });
    if (isOther || isMoved) showFoot(selected);
  }

  function showHead({ name, state, channel, url, reason, detail }, isOnline) {
    const badge = stateBadge(state);
    setText(find(el, '.avatar'), initial(name));
    setText(find(el, '.name'), name);
    setText(find(el, '.badge'), badge.text);
    find(el, '.badge').dataset.tone = badge.tone;
    const presence = find(el, '.presence');
    const place = channel === 'web' ? 'Web chat' : 'Chatwoot';
    const online = isOnline === null ? '' : isOnline ? 'online' : 'away';
    const why = state === 'handover_pending' ? (detail ?? reasonText(reason)) : '';
    setText(find(presence, '.text'), [place, online, why].filter(Boolean).join(' · '));
    presence.dataset.tone = isOnline ? 'good' : 'quiet';
    const link = find(el, '.link');
    link.hidden = url === null;
    if (url) link.href = url;
    const wanted = moves(state).filter(({ what }) => channel === 'web' || what !== 'resolve');
    const buttons = find(el, '.moves');
    const hadFocus = buttons.contains(document.activeElement);
    reconcile(buttons, wanted.map((one) => ({ ...one, key: one.what })), {
      create: ({ what, label }) => h('button', { type: 'button', 'data-what': what }, label),
      update: (button, { isMain }) => {
        button.className = isMain ? 'button -main' : 'button';
      },
    });
    if (hadFocus && !buttons.contains(document.activeElement)) buttons.firstElementChild.focus();
  }

  /** The same object as long as nothing changed: rows compare it. */
  function choosePeople({ name, channel }) {
    const key = [name, channel, botName].join('\n');
    if (key === peopleKey) return;
    peopleKey = key;
    const mayChange = channel === 'web';
    people = peopleFor(botName, {
      own: ['agent', 'ai'],
      names: { user: name },
      decorate: (line, message) => showActions(line, message, actionsFor(message, mayChange)),
    });
  }

  function showFoot({ state, channel }) {
    composer.hidden = channel !== 'web';
    find(el, '.elsewhere').hidden = channel === 'web';
    field.placeholder = composerHint(state);
  }

  function submit(text) {
    if (editing !== null) {
      const id = editing;
      hideBar();
      return act((api, at) => api.edit(at, id, text), 'Could not change it.');
    }
    if (shown?.state === 'human' || isTaking) return ask(el, 'say', { text });
    tell(composer, 'fill', text);
    const question = shown?.state === 'ai' ? 'The bot holds this chat.' : 'Nobody holds this chat yet.';
    showBar(question, [['Take over and send', takeOverAndSend]], { focus: true });
  }

  async function takeOverAndSend() {
    const text = field.value.trim();
    tell(composer, 'fill', '');
    move('takeover');
    if (text) ask(el, 'say', { text });
    field.focus();
  }

  function move(what) {
    isTaking = what === 'takeover';
    act((api, id) => api.move(id, what), 'That did not work.');
  }

  function act(what, failed) {
    ask(el, 'act', { what, failed });
  }

  function startEditing(id) {
    editing = id;
    showBar('Editing your message', [], {});
    editing = id;
    tell(composer, 'fill', messageOf(id)?.content ?? '');
    field.focus();
  }

  function messageOf(id) {
    return messages.find((one) => one.id === id);
  }

  /** A question above the composer. */
  function showBar(text, answers, { focus = false, isBad = false }) {
    hideBar();
    const buttons = answers.map(([label, answer]) => {
      const made = h('button', { type: 'button', class: 'button -main' }, label);
      made.addEventListener('click', () => {
        hideBar();
        answer();
      });
      return made;
    });
    const cancel = h('button', { type: 'button', class: 'button -quiet' }, isBad ? 'Close' : 'Cancel');
    cancel.addEventListener('click', () => {
      if (editing !== null) tell(composer, 'fill', '');
      hideBar();
      field.focus();
    });
    bar.replaceChildren(h('p', {}, text), ...buttons, cancel);
    bar.classList.toggle('-bad', isBad);
    bar.hidden = false;
    if (focus) buttons[0].focus();
  }

  function hideBar() {
    editing = null;
    bar.hidden = true;
  }
}

function actionsFor({ id, sender, deletedAt, turnId }, mayChange) {
  if (id === null || deletedAt !== null) return [];
  if (sender === 'ai' && turnId) {
    return [{ label: 'Why did the bot say this?', wish: 'whyMessage', picture: 'question' }];
  }
  if (sender !== 'agent' || !mayChange) return [];
  return [
    { label: 'Edit', wish: 'changeMessage', picture: 'new' },
    { label: 'Delete', wish: 'deleteMessage', picture: 'delete' },
  ];
}

function skeleton() {
  const status = h('p', { class: 'presence status' }, h('span', { class: 'dot', 'aria-hidden': 'true' }), h('span', { class: 'text' }));
  const head = h(
    'header',
    { class: 'view-head' },
    iconButton('back', 'Back to the list', 'left'),
    h('span', { class: 'avatar', 'aria-hidden': 'true' }),
    h('div', { class: 'who' }, h('h2', { class: 'name' }), status),
    h('span', { class: 'badge' }),
    h('div', { class: 'moves' }),
    iconButton('why', 'Why: decisions of the bot', 'question'),
  );
  const jump = h('button', { type: 'button', class: 'jump', hidden: '' }, icon('down'), h('span', { class: 'text' }));
  const typing = h(
    'div',
    { class: 'typing', hidden: '' },
    h('span', { class: 'avatar', 'aria-hidden': 'true' }),
    h(
      'div',
      { class: 'body' },
      h('p', { class: 'meta' }, h('span', { class: 'sender' }), ' is typing…'),
      h('p', { class: 'bubble dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i')),
    ),
  );
  const older = h('button', { type: 'button', class: 'older button -quiet', hidden: '' }, 'Show earlier messages');
  const scroller = h('div', { class: 'scroller', role: 'log', 'aria-label': 'Transcript', tabindex: '0' }, older, h('ol'), typing);
  const elsewhere = h('p', { class: 'elsewhere' }, 'This chat takes place in Chatwoot: read here, answer there. ');
  elsewhere.append(h('a', { class: 'link', target: '_blank', rel: 'noopener', hidden: '' }, 'Open in Chatwoot'));
  const send = h('button', { type: 'submit', class: 'send', 'aria-label': 'Send', title: 'Send' }, icon('send'));
  const field = h('textarea', { id: 'answer', rows: '1', enterkeyhint: 'send' });
  const composer = h(
    'form',
    { class: 'composer' },
    h('label', { class: 'visually-hidden', for: 'answer' }, 'Your answer'),
    h('div', { class: 'field' }, field, send),
  );
  const nothing = h('p', { class: 'nothing' }, icon('chats'), 'Choose a conversation to read along.');
  const bar = h('div', { class: 'desk-bar', role: 'alert', hidden: '' });
  const open = h('div', { class: 'open', hidden: '' }, head, h('div', { class: 'message-list' }, scroller, jump), bar, elsewhere, composer);
  return [nothing, open];
}

function iconButton(name, label, picture) {
  const made = h('button', { type: 'button', class: `icon-button ${name}`, 'aria-label': label, title: label });
  made.append(icon(picture));
  return made;
}
