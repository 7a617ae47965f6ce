/**
 * Find web addresses in plain text. Pure; the caller makes the elements, so a
 * stranger's text never becomes markup.
 */

const ADDRESS = /https?:\/\/[^\s<>"'`]+/gi;
const TRAILING = /[.,:;!?…*_~]$/;
const BRACKETS = { ')': '(', ']': '[', '}': '{' };

/** Cut a text into {text, href} parts; joined, they are the text again. */
export function linkSegments(text) {
  const segments = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = withoutTail(match[0]);
    const href = safeHref(address);
    if (href === null) continue;
    if (match.index > end) segments.push({ text: text.slice(end, match.index), href: null });
    segments.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) segments.push({ text: text.slice(end), href: null });
  return segments;
}

/**
 * "(see https://a.example/b)." ends the sentence, not the address; a bracket
 * that the address opened itself belongs to it (Wikipedia has many).
 */
function withoutTail(address) {
  for (;;) {
    const last = address.at(-1) ?? '';
    const opening = BRACKETS[last];
    const isTail = opening
      ? count(address, last) > count(address, opening)
      : TRAILING.test(address);
    if (!isTail) return address;
    address = address.slice(0, -1);
  }
}

function count(text, character) {
  return text.split(character).length - 1;
}

export function safeHref(address) {
  if (!URL.canParse(address)) return null;
  const url = new URL(address);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
}
