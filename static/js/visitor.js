/** Entry script of `/`: mounts the page and nothing else. */

import { DemoPage } from './DemoPage.js';
import { find } from './dom.js';

DemoPage(find(document, '.demo-page'));
