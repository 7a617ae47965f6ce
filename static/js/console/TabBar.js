import { find, hear } from '../dom.js';

/**
 * On a phone the panels take turns. On a wide screen the bar is not there and
 * both are shown.
 *
 * @param el `.tab-bar`, its tabs name their panels
 * @listens waiting on the document, detail: {count}
 */
export function TabBar(el) {
  const tabs = [...el.querySelectorAll('[role=tab]')];

  for (const tab of tabs) {
    tab.addEventListener('click', () => open(tab));
  }
  el.addEventListener('keydown', ({ key }) => {
    if (key !== 'ArrowLeft' && key !== 'ArrowRight') return;
    const other = tabs[(tabs.indexOf(selected()) + 1) % tabs.length];
    open(other);
    other.focus();
  });
  hear(document.body, 'waiting', ({ count }) => {
    const badge = find(el, '.count');
    badge.textContent = count > 0 ? String(count) : '';
    badge.hidden = count === 0;
  });

  function selected() {
    return find(el, '[aria-selected=true]');
  }

  function open(chosen) {
    for (const tab of tabs) {
      const isChosen = tab === chosen;
      tab.setAttribute('aria-selected', String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      const panel = find(document, `#${tab.getAttribute('aria-controls')}`);
      panel.classList.toggle('-open', isChosen);
    }
  }
}
