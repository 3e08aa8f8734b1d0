// Starts the page: reads the server's configuration, applies the theme and draws the app.
import { render } from 'preact';
import { App } from './app.js';
import { readConfig } from './config.js';
import { applyTheme, readPreferences } from './preferences.js';

const preferences = readPreferences();
applyTheme(preferences.theme);

const root = document.getElementById('app');
if (root !== null) {
  const config = await readConfig();
  render(<App config={config} preferences={preferences} />, root);
}
