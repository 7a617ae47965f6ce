/**
 * What Chatwoot tells a dashboard app. Pure: the caller brings the event.
 *
 * @typedef {{ displayId: number, accountId: number | null, name: string | null }} AppContext
 */

/** Asks Chatwoot to tell it again; sent to whoever frames us, and says nothing. */
export const FETCH_INFO = 'chatwoot-dashboard-app:fetch-info';

/**
 * @param data of a message event
 * @returns {AppContext | null} null when it is something else
 */
export function appContextOf(data) {
  const { event, data: context } = parse(data);
  const displayId = context?.conversation?.id;
  if (event !== 'appContext' || !Number.isSafeInteger(displayId)) return null;
  return {
    displayId,
    accountId: context.conversation.account_id ?? null,
    name: context.contact?.name ?? null,
  };
}

function parse(data) {
  try {
    return (typeof data === 'string' ? JSON.parse(data) : null) ?? {};
  } catch {
    return {};
  }
}

/**
 * Our conversation for one of Chatwoot's.
 *
 * @param items conversations as the server writes them
 * @param origin who says so
 */
export function conversationOf(items, { displayId, accountId }, origin) {
  return (
    items.find(({ display_id: id, url }) => {
      if (id !== displayId || !url) return false;
      const place = new URL(url);
      const isAccount = accountId === null || place.pathname.includes(`/accounts/${accountId}/`);
      return place.origin === origin && isAccount;
    }) ?? null
  );
}

/**
 * What the agent may start from: the bot's own words that it did not get to say.
 *
 * @param turns newest first
 */
export function suggestionOf(turns) {
  return turns.find(({ draft }) => draft)?.draft ?? null;
}

/**
 * The note that the bot left for agents.
 *
 * @param turns newest first
 */
export function summaryOf(turns) {
  const notes = turns.flatMap(({ replies }) => replies ?? []);
  const note = notes.find(({ kind }) => kind === 'handover_note' || kind === 'note');
  return note ? plain(note.content) : null;
}

/** Chatwoot shows the note as Markdown; here it is text. */
function plain(markdown) {
  return markdown.replace(/\*\*(.+?)\*\*/g, '$1').replace(/^> ?/gm, '');
}
