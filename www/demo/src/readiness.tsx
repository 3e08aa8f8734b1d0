// The chip that says what is ready and where it computes, and the facts and the switch behind it.
import type { JSX, TargetedFocusEvent, TargetedKeyboardEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { BackendSwitch } from './backend_switch.js';
import { placeOf } from '../../ui/backends.js';
import { count, percent, roundBytes, threadWords } from '../../ui/format.js';
import { Fact } from '../../ui/fact.js';
import { Icon } from '../../ui/icons.js';
import type { Model, ModelState, ReadyState } from './use_model.js';

export function Readiness({ model, bytes }: { readonly model: Model; readonly bytes: number | null }): JSX.Element {
  const { state, isolated, switching } = model;
  const details = useRef<HTMLDetailsElement>(null);
  const failed = switching?.phase === 'failed';
  // What went wrong is told on the page, which this would cover.
  useEffect(() => {
    if (failed && details.current !== null) close(details.current);
  }, [failed]);
  return (
    <details ref={details} class="readiness" data-phase={state.phase} onKeyDown={closeOnEscape} onFocusOut={closeOnLeaving}>
      <summary>
        <span class="readiness-dot" aria-hidden="true" />
        <span>
          {state.phase === 'ready' && <span class="wide-only">Ready: </span>}
          {state.phase === 'ready' && switching?.phase === 'loading' ? placeOf(state).short : chipWords(state)}
        </span>
        {switching?.phase === 'loading' && <span class="readiness-switching">{switching.share === undefined || switching.share >= 1 ? '…' : `… ${percent(switching.share)}`}</span>}
      </summary>
      {/* With a tab index a click on the words keeps the focus within. */}
      <div class="readiness-facts" tabIndex={-1}>
        <BackendSwitch model={model} />
        {state.phase === 'ready' ? <ReadyFacts state={state} /> : <p>{waitingWords(state, bytes)}</p>}
        {isolated === false && (
          <p>
            This page is not cross-origin isolated, so the model gets one thread. To allow more, serve it with the headers <code>COOP: same-origin</code> and{' '}
            <code>COEP: require-corp</code>; the demo server does so unless started with <code>--no-isolation</code>.
          </p>
        )}
      </div>
    </details>
  );
}

function close(details: HTMLDetailsElement): void {
  const focused = details.contains(document.activeElement);
  details.open = false;
  if (focused) details.querySelector('summary')?.focus();
}

function closeOnEscape(event: TargetedKeyboardEvent<HTMLDetailsElement>): void {
  if (event.key === 'Escape') close(event.currentTarget);
}

function closeOnLeaving(event: TargetedFocusEvent<HTMLDetailsElement>): void {
  const next = event.relatedTarget;
  if (!(next instanceof Node && event.currentTarget.contains(next))) event.currentTarget.open = false;
}

function ReadyFacts({ state }: { readonly state: ReadyState }): JSX.Element {
  const { info } = state;
  const place = placeOf(state);
  const onGpu = place.backend === 'webgpu';
  return (
    <>
      <dl class="facts">
        {info && <Fact name="Model">{info.id}</Fact>}
        {info && <Fact name="Size">{`${count(Math.round(info.parameters / 1e6))} million parameters`}</Fact>}
        <Fact name="Runs on">{onGpu ? 'GPU, through WebGPU' : place.long}</Fact>
        {place.adapter !== undefined && <Fact name="Adapter">{place.adapter}</Fact>}
        {place.reason !== undefined && <Fact name={onGpu ? 'Went on because' : 'Why not the GPU'}>{place.reason}</Fact>}
        {info && <Fact name="Memory">{`${roundBytes(info.memoryBytes)}${onGpu ? ', and more on the GPU' : ''}`}</Fact>}
        {info && <Fact name="Reads up to">{`${count(info.contextTokens)} tokens`}</Fact>}
        {info && <Fact name="Kept">{info.cached ? 'on this device; next time it starts without a download' : 'no'}</Fact>}
      </dl>
      {info?.warning !== undefined && (
        <p>
          <Icon name="alert" /> {info.warning}
        </p>
      )}
    </>
  );
}

function chipWords(state: ModelState): string {
  switch (state.phase) {
    case 'checking':
      return 'Looking';
    case 'unsupported':
      return 'Not supported';
    case 'waiting':
      return state.interrupted ? 'Download stopped' : 'Not started';
    case 'downloading':
      return `Model ${percent(state.transfer.loaded / state.transfer.total)}`;
    case 'loading':
      return 'Starting';
    case 'ready': {
      const { backend, short } = placeOf(state);
      return backend === 'webgpu' ? short : `${short}, ${threadWords(state.info?.threads ?? 1)}`;
    }
    case 'failed':
      return 'Not ready';
  }
}

function waitingWords(state: ModelState, bytes: number | null): string {
  if (state.phase === 'unsupported') return 'This browser lacks something that the model needs.';
  const size = bytes === null ? '' : ` (${roundBytes(bytes)})`;
  return `What it needs${size} is fetched only when you say so, once, and kept in this browser.`;
}
