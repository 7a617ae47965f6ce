/** What the server does not have must survive a reload as well. */

import { isNote, isUnsent, mergeMessages } from './logic.js';

const NOTES_KEPT = 50;

export function writeExtras(store, chat, messages) {
  const notes = messages.filter(isNote).slice(-NOTES_KEPT);
  const unsent = messages.filter(isUnsent);
  store.write('extras', { chatId: chat?.id ?? null, messages: [...notes, ...unsent] });
}

/** @returns of this chat only */
export function readExtras(store, chat) {
  const extras = store.read('extras');
  if (!Array.isArray(extras?.messages) || extras.chatId !== (chat?.id ?? null)) return [];
  return mergeMessages([], extras.messages);
}
