// One reply draft at a time, streamed as the model writes it.
import type { CompletionProvenance, Frontdesk } from 'frontdesk';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { Ledger } from '../../ui/ledger.js';
import { noteCall } from './open_desk.js';
import { modeName, type Mode } from '../../ui/modes.js';
import { isAbort, problemOf, type Problem } from '../../ui/problems.js';
import { reasonToSend } from '../../ui/provenance.js';

export interface DraftRequest {
  readonly ticket: string;
  readonly mode: Mode;
  readonly threshold: number;
}

export interface DraftState {
  readonly phase: 'empty' | 'reading' | 'writing' | 'done' | 'stopped' | 'failed';
  readonly text: string;
  /** Pieces received and the time since the first one: what speed is measured from while writing. */
  readonly pieces: number;
  readonly writingMs: number;
  readonly threshold: number;
  readonly provenance?: CompletionProvenance;
  readonly problem?: Problem;
}

export interface Drafting {
  readonly state: DraftState;
  readonly run: (desk: Frontdesk, request: DraftRequest) => void;
  readonly stop: () => void;
}

const MAX_TOKENS = 120;
const INSTRUCTION = 'You answer customer messages with one short, polite reply.';
const EMPTY: DraftState = { phase: 'empty', text: '', pieces: 0, writingMs: 0, threshold: 0 };

export function useDraft(ledger: Ledger): Drafting {
  const [state, setState] = useState<DraftState>(EMPTY);
  const running = useRef<AbortController | undefined>(undefined);

  const run = useCallback(
    (desk: Frontdesk, request: DraftRequest) => {
      if (running.current !== undefined) return;
      const controller = new AbortController();
      running.current = controller;
      ledger.begin('reply');
      setState({ ...EMPTY, phase: 'reading', threshold: request.threshold });
      noteCall(desk, write(desk, request, { ledger, signal: controller.signal, update: setState }))
        .catch((error: unknown) => {
          ledger.explain(`Mode “${modeName(request.mode)}”.`);
          setState((before) => (isAbort(error) ? { ...before, phase: 'stopped' } : { ...before, phase: 'failed', problem: problemOf(error) }));
        })
        .finally(() => (running.current = undefined));
    },
    [ledger],
  );
  const stop = useCallback(() => running.current?.abort(), []);
  return useMemo(() => ({ state, run, stop }), [state, run, stop]);
}

interface Writing {
  readonly ledger: Ledger;
  readonly signal: AbortSignal;
  readonly update: (change: (before: DraftState) => DraftState) => void;
}

async function write(desk: Frontdesk, request: DraftRequest, { ledger, signal, update }: Writing): Promise<void> {
  const { mode, threshold } = request;
  const chunks = await desk.chat.completions.create(
    {
      messages: [
        { role: 'system', content: INSTRUCTION },
        { role: 'user', content: `Write a short reply to this customer message:\n\n${request.ticket}` },
      ],
      max_tokens: MAX_TOKENS,
      temperature: 0.3,
      // Without it a model this small soon says the same sentence again and again.
      repetition_penalty: 1.15,
      stream: true,
    },
    { signal, mode, threshold },
  );
  let firstAt: number | undefined;
  let provenance: CompletionProvenance | undefined;
  for await (const chunk of chunks) {
    const piece = chunk.choices[0].delta.content ?? '';
    provenance = chunk.frontdesk ?? provenance;
    if (piece === '') continue;
    const now = performance.now();
    firstAt ??= now;
    const writingMs = now - firstAt;
    update((before) => ({ ...before, phase: 'writing', text: before.text + piece, pieces: before.pieces + 1, writingMs }));
  }
  if (provenance !== undefined) {
    ledger.reconcile(provenance.receipt);
    ledger.explain(reasonToSend(provenance, { confidence: provenance.local?.confidence ?? null, threshold }));
  }
  update((before) => ({ ...before, phase: 'done', ...(provenance && { provenance }) }));
}
