/** The few things every component does with elements. */

const SVG = 'http://www.w3.org/2000/svg';

/** Make an element. Children are elements or text, and text stays text. */
export function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

/** name: a symbol of icons.svg */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** @returns it is there, or will never be */
export function loadStyle(href) {
  return new Promise((resolve) => {
    const link = h('link', { rel: 'stylesheet', href });
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}

export function find(el, selector) {
  const found = el.querySelector(selector);
  if (!found) throw new Error(`no ${selector} in the page`);
  return found;
}

/** Write text only when it changed: a screen reader announces every write. */
export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/** Tell a child something: a noun. */
export function tell(el, name, detail) {
  el.dispatchEvent(new CustomEvent(name, { detail }));
}

/** Listen to what `tell` and `ask` send. */
export function hear(el, name, act) {
  el.addEventListener(name, (event) => act(event.detail));
}

/** Ask the owner for something: a verb, it bubbles. */
export function ask(el, name, detail = null) {
  el.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
}

/**
 * Make the children of `parent` equal to `rows`, keeping the elements of rows
 * that stay. Stale ones go first: then nothing that stays has to move, and a
 * reader's selection, focus and animation survive.
 *
 * @param rows each key once
 */
export function reconcile(parent, rows, { create, update }) {
  const wanted = new Set(rows.map((row) => row.key));
  const known = new Map();
  for (const child of [...parent.children]) {
    const key = child.dataset.key ?? '';
    if (wanted.has(key)) known.set(key, child);
    else child.remove();
  }
  let next = parent.firstElementChild;
  for (const row of rows) {
    const el = known.get(row.key) ?? create(row);
    el.dataset.key = row.key;
    update(el, row);
    if (el === next) next = next.nextElementSibling;
    else parent.insertBefore(el, next);
  }
}
