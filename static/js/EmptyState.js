import { ask, find, hear, setText } from './dom.js';
import { initial } from './words.js';

/**
 * What a visitor sees before the first message: three things the bot can do.
 *
 * @param el `.empty-state`
 * @listens welcome detail: {isEmpty, canReturn, botName}
 * @fires sendMessage detail: {text}
 * @fires returnToPrevious
 */
export function EmptyState(el) {
  const back = find(el, '.return');

  hear(el, 'welcome', ({ isEmpty, canReturn, botName }) => {
    el.hidden = !isEmpty;
    back.hidden = !canReturn;
    setText(find(el, '.avatar'), initial(botName));
    setText(find(el, '.greeting'), botName === 'Bot' ? 'Hello!' : `Hello, I’m ${botName}.`);
  });
  for (const button of el.querySelectorAll('.starter')) {
    button.addEventListener('click', () => {
      ask(el, 'sendMessage', { text: find(button, '.words').textContent });
    });
  }
  back.addEventListener('click', () => ask(el, 'returnToPrevious'));
}
