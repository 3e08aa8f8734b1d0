// What the page has to say about itself: a new version, and settings that cannot be read.
import type { JSX } from 'preact';
import { Icon } from '../../ui/icons.js';

export function UpdateNotice({ onUpdate }: { readonly onUpdate: () => void }): JSX.Element {
  return (
    <section class="notice" role="status">
      <Icon name="download" />
      <div>
        <h2>A new version of this page is ready.</h2>
        <p>It comes the next time all its tabs are closed, or now: the page then opens again, and what you have typed is gone.</p>
      </div>
      <button type="button" class="button" onClick={onUpdate}>
        Open the new version
      </button>
    </section>
  );
}

export function SettingsNotice(): JSX.Element {
  return (
    <section class="notice notice-error" role="alert">
      <Icon name="alert" />
      <div>
        <h2>The settings of this page cannot be read.</h2>
        <p>It goes on without a back office, so nothing can leave. Whoever runs this site: look at the file config.json.</p>
      </div>
    </section>
  );
}
