// Which model answers: the bundled one, or a file of the user's own that is imported here.
import { DEFAULT_MODEL, store } from 'frontdesk';
import type { JSX } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { percent } from '../../../ui/format.js';
import { ProblemNotice } from '../../../ui/notices.js';
import { isAbort, type Problem } from '../../../ui/problems.js';
import { panelProblem } from '../shared/problems.js';
import { LIMITS, type OwnModel } from '../shared/settings.js';

interface Props {
  readonly ownModel: OwnModel | null;
  readonly onModel: (model: OwnModel | null) => void;
}

export function ModelChoice({ ownModel, onModel }: Props): JSX.Element {
  const [imported, setImported] = useState(ownModel);
  const [share, setShare] = useState<number | undefined>(undefined);
  const [problem, setProblem] = useState<Problem | undefined>(undefined);
  const input = useRef<HTMLInputElement>(null);
  const running = useRef<AbortController | undefined>(undefined);

  const take = async (file: File): Promise<void> => {
    const controller = new AbortController();
    running.current = controller;
    setProblem(undefined);
    setShare(0);
    try {
      const { sha256 } = await store.import(file, { signal: controller.signal, onProgress: ({ loaded, total }) => setShare(total === 0 ? 0 : loaded / total) });
      const model = { sha256, name: file.name.slice(0, LIMITS.modelName) };
      setImported(model);
      onModel(model);
    } catch (error) {
      if (!isAbort(error)) setProblem({ ...panelProblem(error), kept: 'The model that was there goes on.' });
    } finally {
      setShare(undefined);
    }
  };

  return (
    <>
      <div class="choices">
        <Choice name={DEFAULT_MODEL} words="Comes with the extension." checked={ownModel === null} onChoose={() => onModel(null)} />
        {imported !== null && <Choice name={imported.name} words="Your own file, kept in this browser." checked={ownModel !== null} onChoose={() => onModel(imported)} />}
      </div>
      {share === undefined ? (
        <div class="inline">
          <button type="button" class="button" onClick={() => input.current?.click()}>
            Import a GGUF file …
          </button>
          <input
            ref={input}
            type="file"
            accept=".gguf"
            hidden
            data-testid="model-file"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              event.currentTarget.value = '';
              if (file !== undefined) void take(file);
            }}
          />
          <span class="hint">A copy is kept in this browser. Nothing is uploaded.</span>
        </div>
      ) : (
        <div class="inline">
          <span id="import-title">Importing: {percent(share)}</span>
          <button type="button" class="button" onClick={() => running.current?.abort()}>
            Cancel
          </button>
          <progress value={share} aria-labelledby="import-title" />
        </div>
      )}
      {problem !== undefined && <ProblemNotice problem={problem} />}
    </>
  );
}

function Choice({ name, words, checked, onChoose }: { readonly name: string; readonly words: string; readonly checked: boolean; readonly onChoose: () => void }): JSX.Element {
  return (
    <label class="choice">
      <input type="radio" name="model" checked={checked} onChange={onChoose} />
      <span>
        <span class="choice-name">{name}</span>
        <span class="choice-words">{words}</span>
      </span>
    </label>
  );
}
