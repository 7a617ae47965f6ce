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

test('a long run of closing brackets is cut in reasonable time', () => {
  const started = performance.now();

  linkSegments(`https://a.example/${')'.repeat(5_000)}`);

  assert.ok(performance.now() - started < 1_000);
});
