// The options page: who answers, the back office, how sure is sure enough, labels, queues and the model.
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { percent } from '../../../ui/format.js';
import { Icon } from '../../../ui/icons.js';
import { MODES, modePromise } from '../../../ui/modes.js';
import { FIXED_ADDRESS } from '../shared/build_facts.js';
import { LIMITS, needsBackOffice, type Settings } from '../shared/settings.js';
import { readSettings, writeSettings } from '../shared/stored_settings.js';
import { checkForm, type Form, formOf, type FormProblems } from './form.js';
import { ModelChoice } from './model_choice.js';
import { RowsEditor } from './rows_editor.js';

export function App({ settings }: { readonly settings: Settings }): JSX.Element {
  const [form, setForm] = useState<Form>(() => formOf(settings));
  const [problems, setProblems] = useState<FormProblems>({});
  const [state, setState] = useState<'unchanged' | 'changed' | 'saved' | 'wrong'>('unchanged');
  /** How often saving was refused: each time the focus goes to what is wrong. */
  const [refusals, setRefusals] = useState(0);
  const page = useRef<HTMLFormElement>(null);
  const change = (part: Partial<Form>): void => {
    const next = { ...form, ...part };
    setForm(next);
    setState('changed');
    // Once something was wrong, each change says at once whether it still is.
    if (Object.keys(problems).length > 0) setProblems(problemsOf(next));
  };
  const save = async (): Promise<void> => {
    const checked = checkForm(form);
    if ('problems' in checked) {
      setProblems(checked.problems);
      setState('wrong');
      setRefusals((before) => before + 1);
      return;
    }
    setProblems({});
    await writeSettings(checked.settings);
    setForm(formOf(await readSettings()));
    setState('saved');
  };
  useEffect(() => {
    if (refusals > 0) page.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [refusals]);
  const hasOffice = form.url.trim() !== '';

  return (
    <main>
      <h1>Frontdesk: options</h1>
      <form
        ref={page}
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Group name="Who answers" hint="What may happen to a text that you select or write.">
          <div class="choices">
            {MODES.map(({ mode, name }) => {
              const isMissing = needsBackOffice(mode) && !hasOffice;
              return (
                <label key={mode} class="choice">
                  <input type="radio" name="mode" value={mode} checked={form.mode === mode} disabled={isMissing && form.mode !== mode} aria-invalid={form.mode === mode && problems.mode !== undefined} onChange={() => change({ mode })} />
                  <span>
                    <span class="choice-name">{name}</span>
                    <span class="choice-words">{isMissing ? 'Needs a back office; give its address below.' : modePromise(mode, { threshold: form.threshold, upstream: hasOffice || mode === 'only_on_device' })}</span>
                  </span>
                </label>
              );
            })}
          </div>
          <Wrong words={problems.mode} />
        </Group>
        <Group name="Back office" hint={FIXED_ADDRESS === undefined ? 'An OpenAI-compatible endpoint of your own. It holds the key of the model behind it; this extension asks for none and keeps none.' : 'This build of the extension knows this one and can reach no other.'}>
          <label class="labelled">
            Address for chat completions
            <input class="field" type="url" inputMode="url" spellcheck={false} value={form.url} readOnly={FIXED_ADDRESS !== undefined} placeholder="https://office.example/v1/chat/completions" aria-invalid={problems.url !== undefined} onInput={(event) => change({ url: event.currentTarget.value })} />
          </label>
          <Wrong words={problems.url} />
          <label class="labelled">
            Name of its model
            <input class="field" type="text" spellcheck={false} maxLength={LIMITS.officeModel} value={form.officeModel} aria-invalid={problems.officeModel !== undefined} onInput={(event) => change({ officeModel: event.currentTarget.value })} />
          </label>
          <Wrong words={problems.officeModel} />
          <p class="hint">
            It has to allow requests from <code>{location.origin}</code>.
          </p>
        </Group>
        <Group name="How sure the model must be" hint="Below this, “Ask when unsure” asks the back office, and Route names a person.">
          <div class="threshold">
            <input type="range" min="0" max="1" step="0.01" value={form.threshold} aria-label="How sure the model must be" aria-valuetext={percent(form.threshold)} onInput={(event) => change({ threshold: event.currentTarget.valueAsNumber })} />
            <output>{percent(form.threshold)}</output>
          </div>
        </Group>
        <Group name="Labels" hint="What Classify chooses from.">
          <RowsEditor what="Label" rows={form.labels} problem={problems.labels} onRows={(labels) => change({ labels })} />
        </Group>
        <Group name="Queues" hint="Where Route sends a text.">
          <RowsEditor what="Queue" rows={form.queues} problem={problems.queues} onRows={(queues) => change({ queues })} />
        </Group>
        <Group name="Model" hint="The language model that reads and writes on this device.">
          <ModelChoice ownModel={form.ownModel} onModel={(ownModel) => change({ ownModel })} />
        </Group>
        <div class="save">
          <div class="inline">
            <button type="submit" class="button button-main">
              Save
            </button>
            <SaveState state={state} problems={problems} />
          </div>
        </div>
      </form>
    </main>
  );
}

function SaveState({ state, problems }: { readonly state: string; readonly problems: FormProblems }): JSX.Element {
  const [first] = Object.values(problems);
  return (
    <p role="status">
      {first !== undefined ? (
        <span class="hint-error">Not saved. {first}</span>
      ) : state === 'saved' ? (
        <span class="saved">
          <Icon name="check" /> Saved. Open panels use it already.
        </span>
      ) : state === 'changed' ? (
        <span class="hint">Not saved yet.</span>
      ) : null}
    </p>
  );
}

function Group({ name, hint, children }: { readonly name: string; readonly hint: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <fieldset class="pane">
      <legend>{name}</legend>
      <p class="hint">{hint}</p>
      {children}
    </fieldset>
  );
}

function Wrong({ words }: { readonly words: string | undefined }): JSX.Element | null {
  return words === undefined ? null : (
    <p class="hint hint-error" role="alert">
      {words}
    </p>
  );
}

function problemsOf(form: Form): FormProblems {
  const checked = checkForm(form);
  return 'problems' in checked ? checked.problems : {};
}
