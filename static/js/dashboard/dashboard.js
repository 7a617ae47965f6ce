/** Entry script of `/dashboard-app`: mounts the page and nothing else. */

import { find } from '../dom.js';
import { DashboardApp } from './DashboardApp.js';

DashboardApp(find(document, '.dashboard-app'));
