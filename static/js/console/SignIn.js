import { ApiError } from '../api.js';
import { h, icon, setText } from '../dom.js';

/**
 * The way in for agents, where the operator has set ADMIN_TOKEN.
 *
 * @param {HTMLElement} el `form.sign-in`
 * @param {{ api: import('./agentApi.js').AgentApi, onToken?: (token: string) => void }} tools
 */
export function SignIn(el, { api, onToken = () => {} }) {
  const field = h('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: '' });
  const button = h('button', { type: 'submit', class: 'button -main' }, 'Sign in');
  const problem = h('p', { class: 'problem', role: 'alert' });
  el.append(
    icon('person'),
    h('h2', {}, 'Agents only'),
    h('p', { class: 'meta' }, 'Sign in with the token that the operator has set as ADMIN_TOKEN.'),
    h('label', { for: 'token' }, 'Token'),
    field,
    problem,
    button,
  );

  el.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await api.signIn(field.value);
      onToken(field.value);
      location.reload(); // every part of the page begins again as an agent's
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setText(problem, error.message);
      field.select();
      field.focus();
    } finally {
      button.disabled = false;
    }
  });
}
