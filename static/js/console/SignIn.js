import { ApiError } from '../api.js';
import { h, icon, setText } from '../dom.js';

/**
 * The way in for agents, where the operator has set ADMIN_TOKEN.
 *
 * @param el `form.sign-in`
 * Every part of the page then begins again as an agent's, unless told otherwise.
 */
export function SignIn(el, { api, onSignedIn = () => location.reload() }) {
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
      onSignedIn(field.value);
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
