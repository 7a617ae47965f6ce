import { ApiError } from '../api.js';
import { h, icon, setText } from '../dom.js';

/**
 * The way in for agents: ADMIN_TOKEN, or the code of the sign-in link.
 *
 * @param el `form.sign-in`; refusal: why the link did not work
 * Every part of the page then begins again as an agent's, unless told otherwise.
 */
export function SignIn(el, { api, refusal = '', onSignedIn = () => location.reload() }) {
  const field = h('input', { type: 'password', id: 'token', autocomplete: 'current-password', required: '' });
  const button = h('button', { type: 'submit', class: 'button -main' }, 'Sign in');
  const problem = h('p', { class: 'problem', role: 'alert' }, refusal);
  el.append(
    icon('person'),
    h('h2', {}, 'Agents only'),
    h('p', { class: 'meta' }, 'Sign in with the token that the operator has set as ADMIN_TOKEN. Without one, open the link that the service printed at start-up.'),
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
