/** A JSON schema in words. Pure: no DOM. */

/**
 * @param {any} schema
 * @returns {string} "text", "number or null", "list of MessageOut" …
 */
export function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split('/').at(-1);
  if (schema.enum) return schema.enum.map((/** @type {any} */ one) => JSON.stringify(one)).join(', ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  const words = { string: 'text', integer: 'whole number', object: 'object', null: 'null' };
  return Reflect.get(words, schema.type) ?? schema.type ?? 'anything';
}

/**
 * @param {any} schema of an object
 * @returns {string[][]} for each field its name, its type, and what there is to know
 */
export function fieldsOf({ properties = {}, required = [] }) {
  return Object.entries(properties).map(([name, schema]) => [
    name,
    typeOf(schema),
    [required.includes(name) ? '' : 'optional', schema.description ?? ''].filter(Boolean).join('. '),
  ]);
}

/**
 * @param {string} text with `code` between backticks
 * @returns {{text: string, isCode: boolean}[]} its pieces
 */
export function pieces(text) {
  return text
    .split('`')
    .map((piece, index) => ({ text: piece, isCode: index % 2 === 1 }))
    .filter((piece) => piece.text !== '');
}
