/** Every pair of text and ground that the components use, in both themes. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const css = readFileSync(new URL('../../static/css/tokens.css', import.meta.url), 'utf8');
const [light, rest] = css.split('@media (prefers-color-scheme: dark)');
const themes = { light: roles(light), dark: roles(rest.split('\n}\n')[0]) };

const TEXT = [
  ['text', 'surface-bg'],
  ['text', 'page-bg'],
  ['text', 'field-bg'],
  ['text', 'hover-bg'],
  ['text', 'warn-bg'],
  ['text', 'bad-bg'],
  ['text', 'good-bg'],
  ['text', 'user-avatar-bg'],
  ['text', 'ai-bg'],
  ['text-muted', 'surface-bg'],
  ['text-muted', 'page-bg'],
  ['text-muted', 'field-bg'],
  ['text-muted', 'hover-bg'],
  ['link', 'surface-bg'],
  ['link', 'hover-bg'],
  ['user-text', 'user-bg'],
  ['user-label', 'surface-bg'],
  ['user-avatar-text', 'user-avatar-bg'],
  ['user-avatar-text', 'surface-bg'],
  ['ai-text', 'ai-bg'],
  ['ai-label', 'surface-bg'],
  ['ai-label', 'ai-bg'],
  ['ai-avatar-text', 'ai-avatar-bg'],
  ['agent-text', 'agent-bg'],
  ['agent-label', 'surface-bg'],
  ['agent-avatar-text', 'agent-avatar-bg'],
  ['good-text', 'surface-bg'],
  ['good-text', 'good-bg'],
  ['good-strong-text', 'good-strong-bg'],
  ['bad-text', 'surface-bg'],
  ['bad-text', 'bad-bg'],
  ['warn-text', 'warn-bg'],
  ['warn-text', 'surface-bg'],
  ['surface-bg', 'warn-text'],
];

const SHAPES = [
  ['control-border', 'surface-bg'],
  ['focus', 'surface-bg'],
  ['focus', 'page-bg'],
  ['good-dot', 'surface-bg'],
  ['warn-dot', 'surface-bg'],
  ['quiet-dot', 'surface-bg'],
  ['ai-label', 'ai-bg'],
];

for (const [name, colours] of Object.entries(themes)) {
  for (const [wanted, pairs] of [[4.5, TEXT], [3, SHAPES]]) {
    for (const [front, ground] of pairs) {
      test(`${name}: ${front} on ${ground} has ${wanted}:1`, () => {
        const ratio = contrast(colours[front], colours[ground]);

        assert.ok(ratio >= wanted, `${ratio.toFixed(2)}:1`);
      });
    }
  }
}

test('the dark theme has every colour of the light one', () => {
  assert.deepEqual(Object.keys(themes.dark), Object.keys(themes.light));
});

function roles(text) {
  return Object.fromEntries(
    [...text.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, role, value]) => [role, value]),
  );
}

/** WCAG 2.2, "contrast ratio". */
function contrast(a, b) {
  const [bright, dim] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (bright + 0.05) / (dim + 0.05);
}

function luminance(hex) {
  const [red, green, blue] = [1, 3, 5].map((start) => {
    const part = Number.parseInt(hex.slice(start, start + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
