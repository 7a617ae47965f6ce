import { ask, find, hear, reconcile, setText } from './dom.js';
import { isNote, isUnsent } from './logic.js';
import { createRow, updateRow } from './MessageRow.js';
import { jumpText } from './words.js';

const NEAR_BOTTOM_PX = 48;

/**
 * The transcript: keeps the reader's place, and says when there is more below.
 *
 * @param el `.message-list`
 * @listens messages detail: {rows, people, hasOlder, isLoading, typing}
 * @listens fresh another transcript follows
 * @fires loadOlder
 * @fires messagesArrived detail: {count}
 */
export function MessageList(el) {
  const scroller = find(el, '.scroller');
  const list = find(el, 'ol');
  const typing = find(el, '.typing');
  const jump = find(el, '.jump');
  const older = find(el, '.older');
  let isAtBottom = true;
  let lastTop = 0;
  let unread = 0;
  let newestId = null; // null: nothing shown yet
  let firstKey = '';
  let lastKey = undefined;

  hear(el, 'messages', update);
  hear(el, 'fresh', () => {
    isAtBottom = true;
    unread = 0;
    newestId = null;
    firstKey = '';
    lastKey = undefined;
    list.replaceChildren();
  });
  scroller.addEventListener('scroll', follow, { passive: true });
  jump.addEventListener('click', () => {
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    scroller.scrollTo({ top: scroller.scrollHeight, behavior: still ? 'auto' : 'smooth' });
    scroller.focus({ preventScroll: true }); // the button is about to go
  });
  older.addEventListener('click', () => ask(el, 'loadOlder'));
  const topSeen = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) ask(el, 'loadOlder');
    },
    { root: scroller },
  );
  topSeen.observe(older);
  // The composer grows, a keyboard opens, the window turns: stay with the newest.
  new ResizeObserver(() => isAtBottom && toBottom()).observe(scroller);

  function update({ rows, people, hasOlder, isLoading, typing: who }) {
    const fromBottom = scroller.scrollHeight - scroller.scrollTop;
    const grewAtTop = firstKey !== '' && rows.some(isOldFirst) && !isOldFirst(rows.find(isMessage));
    scroller.setAttribute('aria-busy', String(isLoading));
    reconcile(list, rows, {
      create: (row) => {
        const item = createRow(row);
        if (isFresh(row)) item.dataset.fresh = '';
        return item;
      },
      update: (item, row) => updateRow(item, row, people),
    });
    older.hidden = !hasOlder;
    // Words that are being streamed say the same, and better.
    typing.hidden = who === null || rows.at(-1)?.message?.delivery === 'streaming';
    if (who) showTyping(who, people);

    const arrived = countArrived(rows, isLoading);
    if (wroteOne(rows)) isAtBottom = true;
    if (isAtBottom) toBottom();
    else if (grewAtTop) scroller.scrollTop = scroller.scrollHeight - fromBottom;
    if (grewAtTop) {
      topSeen.unobserve(older); // look again: who scrolls fast is at the top already
      topSeen.observe(older);
    }
    if (!isAtBottom) unread += arrived;
    showJump();
    if (arrived > 0) ask(el, 'messagesArrived', { count: arrived });
    firstKey = rows.find(isMessage)?.key ?? '';
  }

  function showTyping(who, { own, names, initials }) {
    typing.className = `typing message -${who} -starts`;
    typing.classList.toggle('-own', own.includes(who));
    setText(find(typing, '.avatar'), initials[who]);
    setText(find(typing, '.sender'), names[who]);
  }

  /** Comes in with a small movement: not history, and not the first load. */
  function isFresh(row) {
    return isMessage(row) && newestId !== null && (row.message.id ?? Infinity) > newestId;
  }

  function isOldFirst(row) {
    return row?.kind === 'message' && row.key === firstKey;
  }

  /** Messages of others that were not there before; none on the first load. */
  function countArrived(rows, isLoading) {
    const before = newestId;
    newestId = isLoading ? null : newestOf(rows);
    if (before === null || newestId === null) return 0;
    return rows.filter((row) => isMessage(row) && !row.isOwn && row.message.id > before).length;
  }

  /** The reader's own new message is always scrolled to. */
  function wroteOne(rows) {
    const last = rows.findLast((row) => isMessage(row) && !isNote(row.message));
    const isNew = last?.key !== lastKey;
    lastKey = last?.key;
    return rows.length === 0 || (isNew && last?.isOwn === true && isUnsent(last.message));
  }

  function follow() {
    const below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    // Only scrolling up leaves the bottom: when the composer or a banner grows,
    // an older scroll event may still arrive before the list has followed.
    const wentUp = scroller.scrollTop < lastTop;
    isAtBottom = below < NEAR_BOTTOM_PX || (isAtBottom && !wentUp);
    lastTop = scroller.scrollTop;
    if (isAtBottom) unread = 0;
    showJump();
  }

  function showJump() {
    jump.hidden = isAtBottom;
    if (!isAtBottom) setText(find(jump, '.text'), jumpText(unread));
  }

  function toBottom() {
    // Nothing said yet: the welcome is read from its beginning.
    scroller.scrollTop = list.childElementCount > 0 ? scroller.scrollHeight : 0;
  }
}

function isMessage(row) {
  return row.kind === 'message';
}

function newestOf(rows) {
  return rows.reduce((newest, row) => Math.max(newest, row.message?.id ?? 0), 0);
}
