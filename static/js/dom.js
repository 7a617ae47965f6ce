/** The few things every component does with elements. */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Make an element. Children are elements or text, and text stays text.
 *
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  el.append(...children);
  return el;
}

/** @param {string} name a symbol of icons.svg @returns {SVGElement} */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `/static/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** @param {string} href @returns {Promise<void>} it is there, or will never be */
export function loadStyle(href) {
  return new Promise((resolve) => {
    const link = h('link', { rel: 'stylesheet', href });
    link.onload = link.onerror = () => resolve();
    document.head.append(link);
  });
}

/** @param {ParentNode} el @param {string} selector @returns {any} */
export function find(el, selector) {
  const found = el.querySelector(selector);
  if (!found) throw new Error(`no ${selector} in the page`);
  return found;
}

/**
 * Write text only when it changed: a screen reader announces every write.
 *
 * @param {Element} el
 * @param {string} text
 */
export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/**
 * Tell a child something: a noun.
 *
 * @param {Element} el
 * @param {string} name
 * @param {any} detail
 */
export function tell(el, name, detail) {
  el.dispatchEvent(new CustomEvent(name, { detail }));
}

/**
 * Listen to what `tell` and `ask` send.
 *
 * @param {Element} el
 * @param {string} name
 * @param {(detail: any) => void} act
 */
export function hear(el, name, act) {
  el.addEventListener(name, (event) => act(/** @type {CustomEvent} */ (event).detail));
}

/**
 * Ask the owner for something: a verb, it bubbles.
 *
 * @param {Element} el
 * @param {string} name
 * @param {any} [detail]
 */
export function ask(el, name, detail = null) {
  el.dispatchEvent(new CustomEvent(name, { detail, bubbles: true }));
}

/**
 * Make the children of `parent` equal to `rows`, keeping the elements of rows
 * that stay. Stale ones go first: then nothing that stays has to move, and a
 * reader's selection, focus and animation survive.
 *
 * @template {{ key: string }} Row
 * @param {Element} parent
 * @param {Row[]} rows each key once
 * @param {{ create: (row: Row) => HTMLElement, update: (el: HTMLElement, row: Row) => void }} make
 */
export function reconcile(parent, rows, { create, update }) {
  const wanted = new Set(rows.map((row) => row.key));
  /** @type {Map<string, HTMLElement>} */
  const known = new Map();
  for (const child of /** @type {HTMLElement[]} */ ([...parent.children])) {
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
