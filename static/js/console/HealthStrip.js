import { ApiError } from '../api.js';
import { ask, find, h, hear, icon, setText } from '../dom.js';
import { circuitChip, deadLetterText, deadLetterTitle, loadChips, todayText } from './deskWords.js';

const READ_EVERY = 3; // heartbeats

/**
 * Whether the machinery is well, in one line; what could not be delivered can
 * be tried again from here.
 *
 * @param el `.health-strip`
 * @listens service
 * @listens session detail: {canSignOut}
 * @listens linkUp a heartbeat
 * @fires signOut
 */
export function HealthStrip(el, { api }) {
  let beats = 0;
  let load = loadChips({ due: 0, running: 0 });
  const list = h('ul');
  const problem = h('p', { class: 'problem', role: 'alert' });
  const dead = h('details', { class: 'dead' }, h('summary', {}, h('span', { class: 'dot' }), h('span', { class: 'text' })), h('div', { class: 'letters' }, list, problem));
  const [queue, running, llm, chatwoot] = ['queue', 'running', 'llm', 'chatwoot'].map((name) =>
    h('span', { class: `status -${name}` }, h('span', { class: 'dot', 'aria-hidden': 'true' }), h('span', { class: 'text' })),
  );
  const today = h('span', { class: 'status -today' }, h('span', { class: 'text' }));
  today.hidden = true;
  el.setAttribute('aria-label', 'Health');
  const out = h('button', { type: 'button', class: 'icon-button out', 'aria-label': 'Sign out', title: 'Sign out' });
  out.append(icon('out'));
  out.hidden = true;
  out.addEventListener('click', () => ask(el, 'signOut'));
  el.append(queue, running, today, dead, llm, chatwoot, out);
  dead.hidden = true;

  hear(el, 'session', ({ canSignOut }) => {
    out.hidden = !canSignOut;
  });
  hear(el, 'service', ({ health }) => health && showHealth(health));
  hear(el, 'linkUp', () => {
    if (beats % READ_EVERY === 0) read();
    beats += 1;
  });
  el.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') dead.removeAttribute('open');
  });

  /** health: the body of /health/ready */
  function showHealth({ worker, llm: model, chatwoot: office }) {
    show(running, { ...load.running, tone: worker?.ok === false ? 'bad' : 'good' });
    show(llm, circuitChip('Model', model));
    chatwoot.hidden = !office?.configured;
    show(chatwoot, circuitChip('Chatwoot', office));
  }

  async function read() {
    try {
      const now = await api.load();
      load = loadChips(now);
      show(queue, load.queue);
      setText(find(running, '.text'), load.running.text);
      const used = todayText(now.today, now.currency);
      today.hidden = used === '';
      setText(find(today, '.text'), used);
      const { items } = now.dead_letters > 0 ? await api.deadLetters() : { items: [] };
      dead.hidden = items.length === 0;
      if (items.length === 0) dead.removeAttribute('open');
      show(find(dead, 'summary'), { text: deadLetterText(items.length), tone: 'bad' });
      list.replaceChildren(...items.map(letter));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the header says it
    }
  }

  function letter({ id, kind, display_id: number, error }) {
    const button = h('button', { type: 'button', class: 'button' }, 'Replay');
    button.addEventListener('click', async () => {
      button.disabled = true;
      try {
        await api.replay(id);
        setText(problem, '');
        await read();
      } catch (failure) {
        if (!(failure instanceof ApiError)) throw failure;
        setText(problem, `Could not replay it. ${failure.message}`);
        button.disabled = false;
      }
    });
    const title = deadLetterTitle(kind, number);
    const words = h('p', {}, title, h('span', { class: 'meta' }, error ?? ''));
    return h('li', {}, words, button);
  }
}

function show(el, { text, tone }) {
  setText(find(el, '.text'), text);
  el.dataset.tone = tone;
}
