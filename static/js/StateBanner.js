import { ask, find, hear, setText } from './dom.js';

/**
 * Says above the composer why the bot does not answer.
 *
 * @param el `.state-banner`
 * @listens banner detail: {banner, mayRelease}
 * @fires backToBot
 */
export function StateBanner(el) {
  const box = find(el, '.box');
  const back = find(el, '.back');

  hear(el, 'banner', ({ banner, mayRelease }) => {
    box.hidden = banner === null;
    if (!banner) return;
    box.dataset.kind = banner.kind;
    const picture = banner.kind === 'pending' ? 'clock' : 'person';
    find(box, 'use').setAttribute('href', `/static/icons.svg#${picture}`);
    setText(find(el, '.what'), banner.text);
    setText(find(el, '.detail'), banner.detail);
    back.hidden = !(banner.canReturn && mayRelease);
  });
  back.addEventListener('click', () => ask(el, 'backToBot'));
}
