/** What the server does not have must survive a reload as well. */

import { isNote, isUnsent, mergeMessages } from './logic.js';

const NOTES_KEPT = 50;

/**
 * @typedef {import('./storage.js').Store} Store
 * @typedef {import('./api.js').Chat} Chat
 * @typedef {import('./logic.js').Message} Message
 */

/** @param {Store} store @param {Chat | null} chat @param {Message[]} messages */
export function writeExtras(store, chat, messages) {
  const notes = messages.filter(isNote).slice(-NOTES_KEPT);
  const unsent = messages.filter(isUnsent);
  store.write('extras', { chatId: chat?.id ?? null, messages: [...notes, ...unsent] });
}

/** @param {Store} store @param {Chat | null} chat @returns {Message[]} of this chat only */
export function readExtras(store, chat) {
  const extras = store.read('extras');
  if (!Array.isArray(extras?.messages) || extras.chatId !== (chat?.id ?? null)) return [];
  return mergeMessages([], extras.messages);
}
