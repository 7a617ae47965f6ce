/** Entry script of `/docs`: /openapi.json, readable. */

import { fieldsOf, pieces, typeOf } from './docsLogic.js';
import { find, h, setText } from './dom.js';

const page = find(document, '.docs');

show();

async function show() {
  const note = find(page, '.note');
  try {
    const response = await fetch('/openapi.json');
    if (!response.ok) throw new Error(String(response.status));
    render(await response.json());
    note.remove();
  } catch {
    setText(note, 'The description cannot be loaded; reload the page to try again.');
  }
  page.setAttribute('aria-busy', 'false');
}

/** @param {any} spec */
function render(spec) {
  page.append(h('h2', {}, 'REST'));
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      page.append(operation(spec, path, method, one));
    }
  }
  sockets(spec, spec['x-websockets']);
}

/** @param {any} spec @param {string} path @param {string} method @param {any} one */
function operation(spec, path, method, one) {
  const body = h('div', { class: 'body' }, h('p', {}, ...marked(one.description)));
  if (one.parameters.length > 0) {
    body.append(h('h3', {}, 'Parameters'), table(one.parameters.map(parameter)));
  }
  const taken = one.requestBody?.content['application/json'].schema;
  if (taken) body.append(h('h3', {}, 'Body'), fields(spec, taken));
  for (const [status, answer] of Object.entries(one.responses)) {
    const schema = /** @type {any} */ (Object.values(answer.content ?? {})[0])?.schema;
    body.append(h('h3', {}, ...marked(`${status} ${answer.description}`)));
    if (schema && Number(status) < 300) body.append(fields(spec, schema));
  }
  return entry(method.toUpperCase(), path, one.summary, body);
}

/** @param {any} spec @param {any} live */
function sockets(spec, live) {
  page.append(h('h2', {}, 'WebSocket'));
  page.append(table(Object.entries(live.sockets).map(([path, what]) => [path, String(what)])));
  page.append(entry('SEND', 'frame', 'One of message, typing and after.', fields(spec, live.frame)));
  for (const [name, schema] of Object.entries(live.events)) {
    const { description } = named(spec, schema);
    page.append(entry('EVENT', name, description ?? '', fields(spec, schema)));
  }
  page.append(h('h2', {}, 'Close codes'));
  page.append(table(Object.entries(live.close_codes).map(([code, what]) => [code, String(what)])));
}

/** @param {string} kind @param {string} name @param {string} what @param {Element} body */
function entry(kind, name, what, body) {
  const summary = h('summary', {}, h('span', { class: 'method' }, kind), h('code', {}, name), h('span', { class: 'what' }, ...marked(what)));
  body.classList.add('body');
  return h('details', {}, summary, body);
}

/** @param {any} spec @param {any} schema */
function fields(spec, schema) {
  const rows = fieldsOf(named(spec, schema));
  return rows.length > 0 ? table(rows) : h('p', {}, 'Any object.');
}

/** @param {any} spec @param {any} schema */
function named(spec, schema) {
  const name = schema.$ref?.split('/').at(-1);
  return name ? spec.components.schemas[name] : schema;
}

/** @param {any} one */
function parameter({ name, schema, in: where, required }) {
  return [name, typeOf(schema), required ? where : `${where}, optional`];
}

/** @param {string[][]} rows */
function table(rows) {
  const body = h('tbody', {}, ...rows.map(row));
  return h('div', {}, h('table', {}, body));
}

/** @param {string[]} cells */
function row([first, ...rest]) {
  return h('tr', {}, h('th', { scope: 'row' }, h('code', {}, first)), ...rest.map((text) => h('td', {}, ...marked(text))));
}

/** @param {string} text */
function marked(text) {
  return pieces(text).map((piece) => (piece.isCode ? h('code', {}, piece.text) : piece.text));
}
