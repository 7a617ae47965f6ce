/** Entry script of `/`: mounts the page and nothing else. */

import { find } from './dom.js';

const isEmbedded = document.documentElement.classList.contains('embedded');
const { mount } = await import(isEmbedded ? './EmbeddedChat.js' : './DemoPage.js');
mount(find(document, '.demo-page'));
