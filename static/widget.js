/**
 * Puts the chat on any page:
 *
 *   <script src="https://bot.example.com/widget.js" async></script>
 *
 * A plain script without dependencies. `data-label` names the button, and
 * `data-side="left"` moves it. The page's site has to be in CORS_ORIGINS.
 */
(() => {
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const home = new URL(script.src).origin;
  const label = script.dataset.label ?? 'Chat with us';
  const side = script.dataset.side === 'left' ? 'left' : 'right';

  const host = document.createElement('div');
  const root = host.attachShadow({ mode: 'open' }); // the page's styles stay out
  const panel = document.createElement('div');
  const button = document.createElement('button');
  const badge = document.createElement('span');
  /** @type {HTMLIFrameElement | null} made when it is first wanted */
  let frame = null;
  let arrived = 0;

  // A constructed sheet is not an inline style: a strict policy lets it through.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles());
  root.adoptedStyleSheets = [sheet];
  panel.id = 'panel';
  panel.hidden = true;
  panel.setAttribute('role', 'dialog');
  panel.setAttribute('aria-label', label);
  button.type = 'button';
  button.setAttribute('aria-controls', 'panel');
  badge.hidden = true;
  button.append(picture(), badge);
  root.append(panel, button);
  host.dataset.chatwootBot = '';
  show(false);

  button.addEventListener('click', () => toggle(panel.hidden));
  document.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape' && !panel.hidden) toggle(false);
  });
  window.addEventListener('message', ({ source, origin, data }) => {
    if (origin !== home || source !== frame?.contentWindow) return;
    const news = data?.chatwootBot ?? {};
    if (news.close) toggle(false);
    if (news.arrived && panel.hidden) count(arrived + news.arrived);
  });
  if (document.body) document.body.append(host);
  else document.addEventListener('DOMContentLoaded', () => document.body.append(host));

  /** @param {boolean} isOpen */
  function toggle(isOpen) {
    show(isOpen);
    if (!isOpen) return button.focus();
    count(0);
    frame ??= makeFrame();
    frame.focus();
  }

  /** @param {boolean} isOpen */
  function show(isOpen) {
    panel.hidden = !isOpen;
    host.classList.toggle('open', isOpen);
    button.setAttribute('aria-expanded', String(isOpen));
    name();
  }

  function makeFrame() {
    const made = document.createElement('iframe');
    made.src = `${home}/?embed=1`;
    made.title = label;
    panel.append(made);
    return made;
  }

  /** @param {number} next */
  function count(next) {
    arrived = next;
    badge.hidden = next === 0;
    badge.textContent = String(next);
    name();
  }

  function name() {
    const news = arrived === 0 ? '' : `, ${arrived} new`;
    button.setAttribute('aria-label', panel.hidden ? label + news : 'Close chat');
  }

  function picture() {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('aria-hidden', 'true');
    path.setAttribute('d', 'M20.5 11.5a8.3 8.3 0 0 1-12.2 7.3L3.500 20.500l1.4-4.800A8.3 8.3 0 1 1 20.500 11.500z');
    svg.append(path);
    return svg;
  }

  function styles() {
    return `
      :host { all: initial; position: fixed; inset-block-end: 1.25rem; inset-inline: auto;
        ${side}: 1.25rem; z-index: 2147483000; font: 600 13px/1 system-ui, sans-serif; }
      [hidden] { display: none !important; }
      button { position: relative; display: grid; place-items: center; width: 3.5rem;
        height: 3.5rem; margin-inline-start: ${side === 'right' ? 'auto' : '0'}; border: 0;
        border-radius: 50%; background: #5b3fc4; color: #fff; cursor: pointer;
        box-shadow: 0 4px 16px rgb(20 26 40 / 30%); }
      button:hover { background: #4d33ad; }
      button:focus-visible { outline: 3px solid #5b3fc4; outline-offset: 3px; }
      svg { width: 1.75rem; fill: none; stroke: currentcolor; stroke-width: 2;
        stroke-linejoin: round; }
      span { position: absolute; inset: -0.25rem -0.25rem auto auto; min-width: 1.375rem;
        padding: 0.25rem; box-sizing: border-box; border-radius: 1rem; background: #b3261e;
        text-align: center; }
      #panel { width: min(24rem, calc(100vw - 2.5rem)); height: min(40rem, calc(100vh - 7rem));
        margin-block-end: 1rem; overflow: hidden; border-radius: 1.125rem; background: Canvas;
        box-shadow: 0 8px 40px rgb(20 26 40 / 35%); }
      iframe { width: 100%; height: 100%; border: 0; }
      @media (width < 30rem) {
        :host(.open) { inset: 0; }
        :host(.open) #panel { width: 100%; height: 100%; margin: 0; border-radius: 0; }
        :host(.open) button { display: none; }
      }`;
  }
})();
