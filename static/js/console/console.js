/** Entry script of `/console`: mounts the page and nothing else. */

import { find } from '../dom.js';
import { ConsolePage } from './ConsolePage.js';

ConsolePage(find(document, '.demo-page'));
