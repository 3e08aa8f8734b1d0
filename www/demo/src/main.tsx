// Starts the page: reads the server's configuration, applies the theme and draws the app.
import { render, type JSX } from 'preact';
import { App } from './app.js';
import { readConfig } from './config.js';
import { applyTheme, readPreferences } from './preferences.js';

const preferences = readPreferences();
applyTheme(preferences.theme);

function Waiting(): JSX.Element {
  return (
    <main>
      <h1>Frontdesk</h1>
      <p role="status">The connection is slow: this page waits for its settings.</p>
    </main>
  );
}

const root = document.getElementById('app');
if (root !== null) {
  // Shorter than a visitor's patience with an empty page, longer than the service worker's with the host.
  const waiting = setTimeout(() => render(<Waiting />, root), 3000);
  const config = await readConfig();
  clearTimeout(waiting);
  render(<App config={config} preferences={preferences} />, root);
}
