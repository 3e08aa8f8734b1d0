// A part of the page that is fetched when it is first shown, and stays from then on.
import type { FunctionComponent, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Icon } from '../../ui/icons.js';

interface Props<PartProps> {
  readonly load: () => Promise<FunctionComponent<PartProps>>;
  readonly shown: boolean;
  readonly props: PartProps;
}

export function Lazy<PartProps extends object>({ load, shown, props }: Props<PartProps>): JSX.Element | null {
  const [part, setPart] = useState<{ readonly Part: FunctionComponent<PartProps> }>();
  const [isLost, setLost] = useState(false);
  const isWanted = shown && part === undefined && !isLost;
  useEffect(() => {
    if (!isWanted) return;
    load().then(
      (Part) => setPart({ Part }),
      () => setLost(true),
    );
  }, [isWanted, load]);
  if (part !== undefined) return <part.Part {...props} />;
  if (!isLost) return <p class="soft">Opening …</p>;
  return (
    <section class="notice notice-error" role="alert">
      <Icon name="alert" />
      <div>
        <h2>This part of the page could not be loaded.</h2>
        <p>What you typed elsewhere is still there. Check the connection, then try again; if it stays, the page has a new version: reload it.</p>
      </div>
      <button type="button" class="button" onClick={() => setLost(false)}>
        Try again
      </button>
    </section>
  );
}
