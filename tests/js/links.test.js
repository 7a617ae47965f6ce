import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkSegments } from '../../static/js/links.js';

const links = (text) =>
  linkSegments(text)
    .filter((segment) => segment.href !== null)
    .map((segment) => segment.text);

const CASES = [
  ['no address here', []],
  ['', []],
  ['https://a.example', ['https://a.example']],
  ['see http://a.example/b?c=d#e now', ['http://a.example/b?c=d#e']],
  ['HTTPS://A.EXAMPLE/x', ['HTTPS://A.EXAMPLE/x']],
  ['It is https://a.example/b.', ['https://a.example/b']],
  ['https://a.example/b?!', ['https://a.example/b']],
  ['https://a.example/wait…', ['https://a.example/wait']],
  ['(see https://a.example/b).', ['https://a.example/b']],
  ['https://a.example/Ada_(name)', ['https://a.example/Ada_(name)']],
  ['(https://a.example/Ada_(name))', ['https://a.example/Ada_(name)']],
  ['[https://a.example/b]', ['https://a.example/b']],
  ['https://a.example/b)).])', ['https://a.example/b']],
  ['**https://a.example/b**', ['https://a.example/b']],
  ['<https://a.example/b>', ['https://a.example/b']],
  ['"https://a.example/b"', ['https://a.example/b']],
  ['https://a.example/1 https://a.example/2', ['https://a.example/1', 'https://a.example/2']],
  ['https://a.example/ä/日本', ['https://a.example/ä/日本']],
  ['line\nhttps://a.example/b\nline', ['https://a.example/b']],
  ['javascript:alert(1)', []],
  ['data:text/html,<b>x</b>', []],
  ['ftp://a.example/b', []],
  ['mailto:a@a.example', []],
  ['www.a.example', []],
  ['https://', []],
  ['https://.', []],
  ['http://[', []],
];

for (const [text, expected] of CASES) {
  test(`links in ${JSON.stringify(text)}`, () => {
    assert.deepEqual(links(text), expected);
  });

  test(`nothing is lost of ${JSON.stringify(text)}`, () => {
    const segments = linkSegments(text);

    assert.equal(segments.map((segment) => segment.text).join(''), text);
    assert.ok(segments.every((segment) => segment.text !== ''));
  });
}

test('every link goes to http or https, and nowhere else', () => {
  const segments = linkSegments('x https://a.example/"onclick=alert(1) javascript:x');

  for (const { href } of segments) assert.match(href ?? 'https:', /^https?:/);
});

test('markup around an address stays text', () => {
  assert.deepEqual(linkSegments('<a href="https://a.example">'), [
    { text: '<a href="', href: null },
    { text: 'https://a.example', href: 'https://a.example/' },
    { text: '">', href: null },
  ]);
});

const HOSTILE = {
  'closing brackets': (length) => `http://a.b/${')'.repeat(length)}`,
  'brackets of all kinds': (length) => `http://a.b/${')]}'.repeat(length / 3)}`,
  'opened brackets': (length) => `http://a.b/${'('.repeat(length)}`,
  'brackets in a sentence': (length) => `http://a.b/${').'.repeat(length / 2)}`,
  'pairs of brackets': (length) => `http://a.b/${'()'.repeat(length / 2)}.`,
  punctuation: (length) => `http://a.b/${'.'.repeat(length)}`,
  'many addresses': (length) => 'http://a.b/) '.repeat(length / 13),
  'many schemes': (length) => 'http://'.repeat(length / 7),
  slashes: (length) => `http:${'/'.repeat(length)}`,
};

/** The best of three, as other work on the machine does not count. */
function leastMs(work) {
  return Math.min(
    ...[1, 2, 3].map(() => {
      const started = performance.now();
      work();
      return performance.now() - started;
    }),
  );
}

for (const [name, text] of Object.entries(HOSTILE)) {
  for (const [length, atMost] of [
    [20_000, 100],
    [150_000, 500],
  ]) {
    test(`${length} characters of ${name} do not freeze the page`, () => {
      const hostile = text(length);

      assert.ok(leastMs(() => linkSegments(hostile)) < atMost);
    });
  }
}
