/** Runs before the first paint: inside another page only the chat is shown. */
document.documentElement.classList.toggle(
  'embedded',
  new URLSearchParams(location.search).get('embed') === '1',
);
