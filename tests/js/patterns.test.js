// Every regular expression of the pages is linear: an agent's browser shows what
// contacts write.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../static/', import.meta.url);
const LENGTH = 64_000;
const LENGTHS = [24, 1_000, 8_000, LENGTH];
const LIMIT_MS = 50;
const HOPELESS_MS = 10 * LIMIT_MS;
const TRIES = 5;
const CLASSES = { d: '0', D: 'x', s: ' ', S: 'x', w: 'x', W: '!', b: '', B: '' };
const CONTROLS = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v', 0: '\0' };
// After one of these a slash begins an expression; after anything else it divides.
const BEFORE = /(?:^|[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|of|in|=>))$/;

function sources() {
  const names = readdirSync(new URL('js/', ROOT), { recursive: true });
  return ['widget.js', ...names.map((name) => `js/${name}`)]
    .filter((name) => name.endsWith('.js'))
    .sort();
}

// Returns the expressions that a source has as literals, with the line of each.
function literals(source) {
  const found = [];
  let code = ''; // what was read, without strings and comments
  let at = 0;
  const skip = (end) => {
    const stop = source.indexOf(end, at + end.length);
    at = stop < 0 ? source.length : stop + end.length;
  };
  while (at < source.length) {
    const here = source[at];
    if (source.startsWith('//', at)) {
      skip('\n');
    } else if (source.startsWith('/*', at)) {
      skip('*/');
    } else if (here === '"' || here === "'" || here === '`') {
      const begin = at;
      for (at += 1; source[at] !== here; at += source[at] === '\\' ? 2 : 1);
      at += 1;
      // What stands inside ${…} is code.
      if (here === '`') found.push(...inTemplate(source.slice(begin, at)));
      code += '""';
    } else if (here === '/' && BEFORE.test(code.slice(-20).trimEnd())) {
      const begin = at;
      let inClass = false;
      for (at += 1; source[at] !== '/' || inClass; at += 1) {
        assert.notEqual(source[at], '\n', `no end: ${source.slice(begin, at)}`);
        if (source[at] === '\\') at += 1;
        else if (source[at] === '[') inClass = true;
        else if (source[at] === ']') inClass = false;
      }
      const body = source.slice(begin + 1, at);
      const [flags] = source.slice(at + 1).match(/^[a-z]*/);
      at += 1 + flags.length;
      found.push({ body, flags, line: source.slice(0, begin).split('\n').length });
      code += 'x';
    } else {
      code += here;
      at += 1;
    }
  }
  return found;
}

function inTemplate(text) {
  return [...text.matchAll(/\$\{([^}]*)\}/g)].flatMap(([, code]) => literals(code));
}

// Returns what an expression names: each character, and one of each class.
function units(body) {
  const found = new Set(['x', '!', ' ', '\n', '\t']);
  const escapes = /\\(?:u\{?([0-9a-f]{1,6})\}?|x([0-9a-f]{2})|(.))/gi;
  for (const [, unicode, hex, letter] of body.matchAll(escapes)) {
    const code = unicode ?? hex;
    if (code) found.add(String.fromCodePoint(parseInt(code, 16)));
    else found.add(CLASSES[letter] ?? CONTROLS[letter] ?? letter);
  }
  const plain = body
    .replace(escapes, ' ')
    .replace(/\(\?(?:[:=!]|<[=!]|<\w+>)/g, ' ')
    .replace(/\{\d+(?:,\d*)?\}/g, ' ');
  for (const character of plain) {
    if (!'^$()[]{}|*+?.'.includes(character)) found.add(character);
  }
  for (const word of plain.split(/[\s^$()[\]{}|*+?.]+/)) found.add(word);
  found.delete('');
  return [...found];
}

const USES = [
  (one, all, text) => one.test(text),
  (one, all, text) => text.match(all),
  (one, all, text) => text.replace(all, ''),
  (one, all, text) => text.split(all),
];

// Returns the ms of this process's own time, at best; a busy machine takes none of it.
function best(use, pattern, text) {
  let ms = Infinity;
  for (let tried = 0; tried < TRIES; tried += 1) {
    const one = new RegExp(pattern.source, pattern.flags);
    const all = new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, '')}g`);
    const started = process.cpuUsage();
    use(one, all, text);
    const { user, system } = process.cpuUsage(started);
    ms = Math.min(ms, (user + system) / 1_000);
    if (ms <= LIMIT_MS || ms > HOPELESS_MS) break;
  }
  return ms;
}

// Returns the longest time in ms, and what took it.
function slowest(pattern) {
  const all = units(pattern.source);
  // The head once, and then the unit over and over.
  const texts = all.flatMap((one) => [
    ['', one],
    ...all.filter((other) => other !== one).flatMap((other) => [['', one + other], [one, other]]),
  ]);
  let worst = { ms: 0, text: [] };
  for (const [head, unit] of texts) {
    for (const length of LENGTHS) {
      const text = `${head}${unit.repeat(length / unit.length + 1).slice(0, length)}\0`;
      for (const use of USES) {
        const ms = best(use, pattern, text);
        if (ms > worst.ms) worst = { ms, text: [head, unit] };
        if (ms > LIMIT_MS) return worst;
      }
    }
  }
  return worst;
}

const FOUND = sources().flatMap((name) =>
  literals(readFileSync(new URL(name, ROOT), 'utf8')).map((each) => ({ name, ...each })),
);

test('the pages have expressions, and they are found', () => {
  const places = FOUND.map(({ name }) => name);
  assert.ok(places.includes('js/links.js'));
  assert.ok(places.includes('js/random.js'));
});

test('no expression is made of a text, where it could not be found', () => {
  for (const name of sources()) {
    const source = readFileSync(new URL(name, ROOT), 'utf8');
    assert.doesNotMatch(source, /\bRegExp\s*\(/, name);
  }
});

test('literals are told from divisions, strings and comments', () => {
  const source = [
    "const a = 1 / 2 / 3; // no /comment/",
    "const b = '/text/';",
    'const c = x.test(/[/"]\\/y/gi);',
    'const d = `/${e.replace(/z/g, "")}/`;',
    'return /w/u;',
  ].join('\n');
  assert.deepEqual(
    literals(source).map(({ body, flags }) => body + flags),
    ['[/"]\\/ygi', 'zg', 'wu'],
  );
});

for (const { name, line, body, flags } of FOUND) {
  test(`${name}:${line} /${body}/${flags} is linear`, () => {
    const { ms, text } = slowest(new RegExp(body, flags));
    assert.ok(ms <= LIMIT_MS, `${ms} ms on ${JSON.stringify(text)}`);
  });
}

for (const pattern of [/(?:a+)+$/, /<\s*\/?\s*file\s*>/, /\w+@\w+/, /\[[^\]]*\]\([^)]*\)/]) {
  test(`${pattern} is noticed`, () => {
    assert.ok(slowest(pattern).ms > LIMIT_MS);
  });
}
