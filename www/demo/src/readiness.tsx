// The chip that says what is ready, and the facts behind it.
import type { ModelInfo } from 'frontdesk';
import type { ComponentChildren, JSX, TargetedFocusEvent, TargetedKeyboardEvent } from 'preact';
import { count, percent, roundBytes } from './format.js';
import { Icon } from './icons.js';
import type { Model, ModelState } from './use_model.js';

export function Readiness({ model, bytes }: { readonly model: Model; readonly bytes: number | null }): JSX.Element {
  const { state, isolated } = model;
  return (
    <details class="readiness" data-phase={state.phase} onKeyDown={closeOnEscape} onFocusOut={closeOnLeaving}>
      <summary>
        <span class="readiness-dot" aria-hidden="true" />
        <span>{state.phase === 'ready' && <span class="wide-only">Ready: </span>}{chipWords(state)}</span>
      </summary>
      <div class="readiness-facts">
        {state.phase === 'ready' && state.info ? <ReadyFacts info={state.info} /> : <p>{waitingWords(state, bytes)}</p>}
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

function closeOnEscape(event: TargetedKeyboardEvent<HTMLDetailsElement>): void {
  if (event.key !== 'Escape') return;
  event.currentTarget.open = false;
  event.currentTarget.querySelector('summary')?.focus();
}

function closeOnLeaving(event: TargetedFocusEvent<HTMLDetailsElement>): void {
  const next = event.relatedTarget;
  if (!(next instanceof Node && event.currentTarget.contains(next))) event.currentTarget.open = false;
}

function ReadyFacts({ info }: { readonly info: ModelInfo }): JSX.Element {
  return (
    <>
      <dl class="facts">
        <Fact name="Model">{info.id}</Fact>
        <Fact name="Size">{`${count(Math.round(info.parameters / 1e6))} million parameters`}</Fact>
        <Fact name="Runs on">{`CPU, ${threadWords(info.threads)}, ${info.variant.startsWith('relaxed') ? 'relaxed SIMD' : 'SIMD'}`}</Fact>
        <Fact name="Memory">{roundBytes(info.memoryBytes)}</Fact>
        <Fact name="Reads up to">{`${count(info.contextTokens)} tokens`}</Fact>
        <Fact name="Kept">{info.cached ? 'on this device; next time it starts without a download' : 'no'}</Fact>
      </dl>
      {info.warning !== undefined && (
        <p>
          <Icon name="alert" /> {info.warning}
        </p>
      )}
    </>
  );
}

export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export function threadWords(threads: number): string {
  return `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
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
    case 'ready':
      return `CPU, ${threadWords(state.info?.threads ?? 1)}`;
    case 'failed':
      return 'Not ready';
  }
}

function waitingWords(state: ModelState, bytes: number | null): string {
  if (state.phase === 'unsupported') return 'This browser lacks something that the model needs.';
  const size = bytes === null ? '' : ` (${roundBytes(bytes)})`;
  return `What it needs${size} is fetched only when you say so, once, and kept in this browser.`;
}
