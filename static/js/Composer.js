import { ask, find, hear } from './dom.js';

/**
 * Where the message is written. Enter sends, Shift+Enter breaks the line.
 *
 * @param el `form.composer`
 * @listens draft detail: string, text to put back
 * @listens fill detail: string, text to write on from
 * @listens write move the focus here
 * @fires sendMessage detail: {text}
 * @fires wrote detail: {text}, what stands in the field
 */
export function Composer(el) {
  const field = find(el, 'textarea');
  const button = find(el, '.send');
  const growsByItself = CSS.supports('field-sizing', 'content');

  el.addEventListener('submit', (event) => {
    event.preventDefault();
    send();
  });
  field.addEventListener('keydown', (event) => {
    // While an input method composes, Enter picks a word (229 is Safari's way to say so).
    const isComposing = event.isComposing || event.keyCode === 229;
    if (event.key !== 'Enter' || event.shiftKey || isComposing) return;
    event.preventDefault();
    send();
  });
  field.addEventListener('input', () => {
    update();
    ask(el, 'wrote', { text: field.value });
  });
  hear(el, 'write', () => {
    // On a phone the focus opens the keyboard over half of the answer.
    if (matchMedia('(pointer: fine)').matches || el.contains(document.activeElement)) {
      field.focus();
    }
  });
  hear(el, 'draft', (text) => {
    field.value = [text, field.value].filter(Boolean).join('\n');
    update();
    field.focus();
  });
  hear(el, 'fill', (text) => {
    field.value = text;
    update();
  });
  update(); // the browser may have kept a draft over a reload

  function send() {
    const text = field.value.trim();
    if (text === '') return;
    field.value = '';
    update();
    ask(el, 'wrote', { text: '' });
    ask(el, 'sendMessage', { text });
  }

  function update() {
    button.disabled = field.value.trim() === '';
    if (growsByItself) return;
    field.style.height = 'auto';
    field.style.height = `${field.scrollHeight}px`;
  }
}
