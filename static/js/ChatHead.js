import { ask, find, hear, setText } from './dom.js';

/**
 * The panel's own bar: who holds this chat, and the two ways out of it.
 *
 * @param el `.chat-head`
 * @listens holder detail: {holder, chip, isEmpty}
 * @fires askForHuman
 * @fires newChat
 */
export function ChatHead(el) {
  const human = find(el, '.ask-human');
  const fresh = find(el, '.new-chat');
  const badge = find(el, '.holder');

  hear(el, 'holder', ({ holder, chip, isEmpty }) => {
    setText(find(badge, '.text'), chip.text);
    badge.dataset.tone = chip.tone;
    // aria-disabled keeps the focus where it is: pressing it is what disables it.
    human.setAttribute('aria-disabled', String(holder !== 'ai'));
    human.title = holder === 'ai' ? '' : 'A human has been asked already.';
    fresh.setAttribute('aria-disabled', String(isEmpty));
  });

  onPress(human, 'askForHuman');
  onPress(fresh, 'newChat');

  function onPress(button, wish) {
    button.addEventListener('click', () => {
      if (button.getAttribute('aria-disabled') !== 'true') ask(el, wish);
    });
  }
}
