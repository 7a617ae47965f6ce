import { ask, find, hear, setText } from './dom.js';
import { humanModeTitle } from './words.js';

/**
 * The switch that makes the bot silent in every conversation.
 *
 * @param el `.human-pill`
 * @listens service
 * @fires setHumanMode detail: {enabled}
 */
export function HumanPill(el) {
  let enabled = false;
  let isReady = false;

  hear(el, 'service', ({ humanMode, refusal, isSwitching }) => {
    enabled = humanMode === true;
    isReady = humanMode !== null && refusal === null && !isSwitching;
    setText(find(el, '.text'), `Human Mode: ${enabled ? 'ON' : 'OFF'}`);
    el.classList.toggle('-on', enabled);
    el.classList.toggle('-refused', refusal !== null);
    // Not `disabled`: that would take the focus away while it is switching, and
    // hide the explanation from the keyboard.
    el.setAttribute('aria-disabled', String(!isReady));
    el.title = refusal ?? humanModeTitle(enabled);
  });

  el.addEventListener('click', () => {
    if (isReady) ask(el, 'setHumanMode', { enabled: !enabled });
  });
}
