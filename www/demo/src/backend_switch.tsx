// Where the language model shall compute: three choices, and the way there with its progress.
import type { JSX } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { backendName, BACKENDS, HAS_WEBGPU, placeOf, type BackendChoice } from '../../ui/backends.js';
import { Icon } from '../../ui/icons.js';
import type { Model, ModelState } from './use_model.js';

const EXPLANATION_ID = 'backend-explanation';

export function BackendSwitch({ model }: { readonly model: Model }): JSX.Element {
  const { state, choice, switching } = model;
  const loading = switching?.phase === 'loading';
  const retry = !loading && state.phase === 'ready' && state.choice === 'webgpu' && placeOf(state).backend !== 'webgpu';
  return (
    <div class="backend">
      <fieldset class="backend-choices" disabled={!HAS_WEBGPU || isStarting(state)} aria-describedby={EXPLANATION_ID}>
        <legend>Compute on</legend>
        <div class="mode-row">
          {BACKENDS.map((words) => (
            <label key={words.choice} class="mode-choice">
              <input type="radio" name="backend" value={words.choice} checked={words.choice === choice} onChange={() => model.choose(words.choice)} />
              <span>{words.name}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <p id={EXPLANATION_ID} class="soft">
        {explanation(state)}
      </p>
      {loading && <OnTheWay model={model} choice={switching.choice} share={switching.share} />}
      {retry && (
        <button type="button" class="button" onClick={() => model.choose('webgpu')}>
          Try the GPU again
        </button>
      )}
    </div>
  );
}

interface WayProps {
  readonly model: Model;
  readonly choice: BackendChoice;
  readonly share: number | undefined;
}

function OnTheWay({ model, choice, share }: WayProps): JSX.Element {
  const cancel = useRef<HTMLButtonElement>(null);
  // The button goes away with the focus on it: the chip takes that over.
  useLayoutEffect(() => {
    const { current: button } = cancel;
    return () => {
      if (button === document.activeElement) button?.closest('details')?.querySelector('summary')?.focus();
    };
  }, []);
  return (
    <div class="backend-way">
      <p id="backend-way">Loading the model{choice === 'auto' ? ' anew' : ` for the ${backendName(choice)}`}. The one before answers meanwhile.</p>
      <progress {...(share !== undefined && share < 1 && { value: share })} aria-labelledby="backend-way" />
      <button ref={cancel} type="button" class="button" onClick={model.cancelSwitch}>
        <Icon name="close" />
        Cancel
      </button>
    </div>
  );
}

/** What a screen reader hears of the switch; it stands outside of what may be closed. */
export function BackendSaid({ model }: { readonly model: Model }): JSX.Element {
  const { state, switching } = model;
  const begun = useRef(false);
  if (switching !== undefined) begun.current = true;
  const moved = state.phase === 'ready' && state.moved !== undefined;
  return (
    <p class="visually-hidden" role="status" data-testid="backend-said">
      {switching?.phase === 'loading'
        ? `Loading the model${switching.choice === 'auto' ? ' anew' : ` for the ${backendName(switching.choice)}`}.`
        : state.phase === 'ready' && switching === undefined && (begun.current || moved) && `The model computes on: ${placeOf(state).long}.`}
    </p>
  );
}

function isStarting({ phase }: ModelState): boolean {
  return phase === 'checking' || phase === 'downloading' || phase === 'loading';
}

function explanation(state: ModelState): string {
  if (!HAS_WEBGPU) return `This browser has no WebGPU${isSecureContext ? '' : ' on a page that is not served over HTTPS'}, so the model computes on the CPU.`;
  if (isStarting(state)) return 'This can be changed once the model has started.';
  return 'Auto takes the GPU where it answers faster than the CPU, and tries both once. The small model that learns from examples stays on the CPU.';
}
