import { ChatHead } from './ChatHead.js';
import { createChatSession } from './chatSession.js';
import { Composer } from './Composer.js';
import { ask, find, hear, tell } from './dom.js';
import { EmptyState } from './EmptyState.js';
import { isNote, quickReplies, toRows, typingUntil } from './logic.js';
import { MessageList } from './MessageList.js';
import { QuickReplies } from './QuickReplies.js';
import { StateBanner } from './StateBanner.js';
import { createTypingTeller } from './typing.js';
import { bannerFor, connectionStatus, holderChip, humanModeNote, linkState, peopleFor } from './words.js';

/**
 * The visitor's panel: gives the session's state to its parts, and their wishes
 * to the session.
 *
 * @param el `.visitor-chat`
 * @listens service
 * @listens linkUp the server answers
 * @listens lineDown the browser is offline
 * @listens notice detail: string, a line to show in the chat
 * @fires linkChange detail: {works}
 * @fires chatOpened detail: {id}
 */
export function VisitorChat(el, { api, store, isReachable }) {
  const head = find(el, '.chat-head');
  const list = find(el, '.message-list');
  const empty = find(el, '.empty-state');
  const choices = find(el, '.quick-replies');
  const banner = find(el, '.state-banner');
  const composer = find(el, '.composer');
  let humanMode = null;
  let mayRelease = false;
  let botName = 'Bot';
  let people = peopleFor(botName);
  /** What the head says instead of who holds the chat. */
  let cut = null;
  let chatId;
  let typingTimer = 0;

  const session = createChatSession({
    api,
    store,
    onChange: update,
    onLink: (works) => ask(el, 'linkChange', { works }),
    isReachable,
  });
  const teller = createTypingTeller(session.tellTyping);

  ChatHead(head);
  MessageList(list);
  EmptyState(empty);
  QuickReplies(choices);
  StateBanner(banner);
  Composer(composer);

  hear(el, 'service', follow);
  hear(el, 'linkUp', session.resume);
  hear(el, 'notice', (text) => session.say(text));
  hear(el, 'lineDown', session.lineDown);
  hear(el, 'loadOlder', session.loadOlder);
  hear(el, 'wrote', ({ text }) => teller.wrote(text));
  hear(el, 'retryMessage', ({ clientId }) => session.retry(clientId));
  hear(el, 'editMessage', ({ clientId }) => tell(composer, 'draft', session.takeBack(clientId)));
  hear(el, 'askForHuman', session.askForHuman);
  hear(el, 'sendMessage', ({ text }) => andWrite(() => session.send(text)));
  hear(el, 'newChat', () => andWrite(session.newChat));
  hear(el, 'returnToPrevious', () => andWrite(session.returnToPrevious));
  hear(el, 'backToBot', () => andWrite(session.backToBot));
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) session.resume();
  });
  session.start();
  update();
  tell(composer, 'write', null);

  /** The button that was pressed may be gone now; the focus must not be lost. */
  function andWrite(act) {
    act();
    tell(composer, 'write', null);
  }

  function follow(service) {
    const before = humanMode;
    const known = JSON.stringify([humanMode, mayRelease, botName, cut]);
    const isCut = ['offline', 'reconnecting'].includes(linkState(service.link));
    cut = isCut ? connectionStatus(service.link, null) : null;
    humanMode = service.humanMode;
    mayRelease = humanMode !== null && service.refusal === null;
    if (botName !== service.botName) people = peopleFor(service.botName);
    botName = service.botName;
    if (before !== null && mayRelease && before !== humanMode) {
      session.say(humanModeNote(humanMode));
    } else if (known !== JSON.stringify([humanMode, mayRelease, botName, cut])) update();
  }

  function update() {
    const { messages, holder, hasOlder, isLoading, canReturn, typing: other } = session.view;
    if (session.view.chatId !== chatId) {
      chatId = session.view.chatId;
      ask(el, 'chatOpened', { id: chatId });
    }
    const isSilent = humanMode === true;
    const isOwed = scheduleTyping(typingUntil(messages, { holder, humanMode: isSilent }));
    const typing = other ?? (isOwed ? 'ai' : null);
    const isEmpty = !isLoading && messages.every(isNote);
    tell(head, 'holder', { holder, chip: cut ?? holderChip(holder, isSilent), isEmpty });
    tell(list, 'messages', { rows: toRows(messages), people, hasOlder, isLoading, typing });
    tell(choices, 'choices', { options: quickReplies(messages) });
    tell(empty, 'welcome', { isEmpty, canReturn, botName });
    tell(banner, 'banner', { banner: bannerFor(holder, isSilent), mayRelease });
  }

  /** Stop the dots when the time is up, even if nothing happens any more. */
  function scheduleTyping(until) {
    clearTimeout(typingTimer);
    const left = (until ?? 0) - Date.now();
    if (left <= 0) return false;
    typingTimer = window.setTimeout(update, left + 1);
    return true;
  }
}
