import { find, hear, setText, tell } from './dom.js';
import { HumanPill } from './HumanPill.js';
import { chatwootChip, connectionStatus, initial, modelChip } from './words.js';

/**
 * The bar at the top: who answers here, with what, and whether it works.
 *
 * @param el `.app-header`
 * @listens service
 */
export function AppHeader(el) {
  const pill = find(el, '.human-pill');
  HumanPill(pill);

  hear(el, 'service', (service) => {
    showConnection(connectionStatus(service.link, service.health));
    if (service.health) showHealth(service);
    setText(find(el, '.refusal'), service.refusal ?? '');
    tell(pill, 'service', service);
  });

  function showConnection({ text, tone, title = '' }) {
    const status = find(el, '.connection');
    setText(find(status, '.text'), text);
    status.dataset.tone = tone;
    status.title = title;
  }

  function showHealth({ health, botName }) {
    setText(find(el, '.name'), botName);
    setText(find(el, '.brand > .avatar'), initial(botName));
    // The parts of the health are for agents.
    for (const chip of el.querySelectorAll('.chip')) chip.toggleAttribute('hidden', !health.llm);
    showChip(find(el, '.chip.-model'), modelChip(health));
    showChip(find(el, '.chip.-chatwoot'), chatwootChip(health));
  }
}

function showChip(el, { text, tone, title = '' }) {
  setText(find(el, '.text'), text);
  el.dataset.tone = tone;
  el.title = title;
}
