// The chip that says what is ready and where it computes, and the facts and the switch behind it.
import type { JSX, TargetedFocusEvent, TargetedKeyboardEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { BackendSwitch } from './backend_switch.js';
import { placeOf } from '../../ui/backends.js';
import { count, percent, roundBytes, threadWords } from '../../ui/format.js';
import { Fact } from '../../ui/fact.js';
import { Icon } from '../../ui/icons.js';
import type { Model, ModelState, ReadyState } from './use_model.js';
import type { Reflex, ReflexState } from './use_reflex.js';
import type { Offline } from './use_service_worker.js';

interface Props {
  readonly model: Model;
  readonly reflex: Reflex;
  readonly offline: Offline;
  /** Of the language model's file. */
  readonly bytes: number | null;
}

export function Readiness({ model, reflex, offline, bytes }: Props): JSX.Element {
  const { state, isolated, switching } = model;
  const details = useRef<HTMLDetailsElement>(null);
  const failed = switching?.phase === 'failed';
  // What went wrong is told on the page, which this would cover.
  useEffect(() => {
    if (failed && details.current !== null) close(details.current);
  }, [failed]);
  return (
    <details ref={details} class="readiness" data-phase={state.phase} data-reflex={reflex.state.phase} onKeyDown={closeOnEscape} onFocusOut={closeOnLeaving}>
      <summary>
        <span class="readiness-dot" aria-hidden="true" />
        <span>
          {state.phase === 'ready' && <span class="wide-only">Ready: </span>}
          {state.phase === 'ready' && switching?.phase === 'loading' ? placeOf(state).short : chipWords(state, reflex.state)}
        </span>
        {switching?.phase === 'loading' && <span class="readiness-switching">{switching.share === undefined || switching.share >= 1 ? '…' : `… ${percent(switching.share)}`}</span>}
      </summary>
      {/* With a tab index a click on the words keeps the focus within. */}
      <div class="readiness-facts" tabIndex={-1}>
        <BackendSwitch model={model} />
        <SmallModelFacts state={reflex.state} />
        {state.phase === 'ready' ? <ReadyFacts state={state} /> : <p>{waitingWords(state, bytes)}</p>}
        {offline.isKept && <p>This page is kept in this browser: it opens without a network.</p>}
        {isolated === false && <OneThread isKept={offline.isKept} />}
      </div>
    </details>
  );
}

function OneThread({ isKept }: { readonly isKept: boolean }): JSX.Element {
  if (ISOLATION === 'none') return <p>This site was built without cross-origin isolation, so the models get one thread.</p>;
  if (ISOLATION === 'server') {
    return (
      <p>
        This page is not cross-origin isolated, so the models get one thread. To allow more, serve it with the headers <code>COOP: same-origin</code> and <code>COEP: require-corp</code>; the demo server
        does so unless started with <code>--no-isolation</code>.
      </p>
    );
  }
  // Controlled from its beginning, and still not isolated.
  if (openedByWorker) return <p>This browser gives no cross-origin isolation here, so the models get one thread.</p>;
  return (
    <>
      <p>The models get one thread on this visit, because the host does not send what cross-origin isolation takes. The page’s own service worker adds it: there are more threads from the next time the page is opened.</p>
      <button type="button" class="button" disabled={!isKept} onClick={() => location.reload()}>
        Open again now
      </button>
    </>
  );
}

/** Whether this page itself came from the service worker. */
const openedByWorker = 'serviceWorker' in navigator && navigator.serviceWorker.controller !== null;

function SmallModelFacts({ state }: { readonly state: ReflexState }): JSX.Element | null {
  if (state.phase !== 'ready') return null;
  const { info } = state.desk;
  return (
    <dl class="facts">
      <Fact name="Small model">{info?.id}, ready</Fact>
      <Fact name="It runs on">CPU, {threadWords(info?.threads ?? 1)}</Fact>
      <Fact name="It has learnt">{state.sample ? `${count(state.sample.report.examples)} sample messages` : 'nothing by itself'}</Fact>
    </dl>
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

function chipWords(state: ModelState, reflex: ReflexState): string {
  switch (state.phase) {
    case 'checking':
      return reflexWords(reflex);
    case 'unsupported':
      return 'Not supported';
    case 'waiting':
      return reflexWords(reflex);
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

function reflexWords(reflex: ReflexState): string {
  switch (reflex.phase) {
    case 'downloading':
      return `Small model ${percent(reflex.transfer.loaded / reflex.transfer.total)}`;
    case 'ready':
      return 'Small model ready';
    case 'checking':
    case 'loading':
    case 'learning':
      return 'Starting';
    case 'failed':
      return 'Not ready';
    default:
      return 'Not started';
  }
}

function waitingWords(state: ModelState, bytes: number | null): string {
  if (state.phase === 'unsupported') return 'This browser lacks something that the model needs.';
  const size = bytes === null ? '' : ` (${roundBytes(bytes)})`;
  return `The language model${size} is fetched only when you say so, once, and kept in this browser.`;
}
