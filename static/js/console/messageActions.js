import { find, icon } from '../dom.js';
import { wishButton } from '../MessageRow.js';

/** What the reader may do with this message, beside it. */
export function showActions(el, { id }, actions) {
  const wanted = actions.map(({ wish }) => wish).join();
  if ((el.dataset.actions ?? '') === wanted) return;
  el.dataset.actions = wanted;
  const buttons = actions.map(({ label, wish, picture }) => {
    const made = wishButton(el, 'icon-button', wish, { id });
    made.setAttribute('aria-label', label);
    made.title = label;
    made.append(icon(picture));
    return made;
  });
  el.replaceChildren(find(el, '.bubble'), ...buttons);
}
