/**
 * Find web addresses in plain text. Pure; the caller makes the elements, so a
 * stranger's text never becomes markup.
 */

const ADDRESS = /https?:\/\/[^\s<>"'`]+/gi;
const TRAILING = /[.,:;!?…*_~]/;
const BRACKETS = { ')': '(', ']': '[', '}': '{' };
const CLOSING = { '(': ')', '[': ']', '{': '}' };

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
  const surplus = surplusOfClosing(address);
  let end = address.length;
  for (; end > 0; end -= 1) {
    const last = address[end - 1];
    if (BRACKETS[last]) {
      if (surplus[last] <= 0) break;
      surplus[last] -= 1;
    } else if (!TRAILING.test(last)) {
      break;
    }
  }
  return address.slice(0, end);
}

/** How many more closing brackets than opening ones there are, by kind. */
function surplusOfClosing(address) {
  const surplus = { ')': 0, ']': 0, '}': 0 };
  for (const character of address) {
    if (character in surplus) surplus[character] += 1;
    else if (character in CLOSING) surplus[CLOSING[character]] -= 1;
  }
  return surplus;
}

export function safeHref(address) {
  if (!URL.canParse(address)) return null;
  const url = new URL(address);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
}
