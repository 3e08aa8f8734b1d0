/** The tasks of one encoder: in memory once they were used, on the device where the browser can (worker only). */
import type { EngineModule, Task } from './engine_module.js';
import { InvalidInputError } from './errors.js';
import { SerialQueue } from './job_queue.js';
import type { TaskInfo } from './protocol.js';
import { keepTask, readTask, removeTask } from './task_folder.js';

/** Earlier versions that are kept of a task. */
const MOST_EARLIER = 2;

export class TaskShelf {
  readonly encoderSha256: string;
  readonly #module: EngineModule;
  readonly #open = new Map<string, { readonly task: Task; readonly kept: boolean }>();
  /** How many earlier versions there are, once that was looked up: every answer asks. */
  readonly #earlierCounts = new Map<string, number>();
  /** Earlier versions, newest first, where the browser cannot keep files. */
  readonly #unkept = new Map<string, readonly Uint8Array<ArrayBuffer>[]>();
  readonly #queues = new Map<string, SerialQueue>();

  constructor(module: EngineModule, encoderSha256: string) {
    this.#module = module;
    this.encoderSha256 = encoderSha256;
  }

  /** Changes of one task wait for each other; answers and other tasks do not wait for them. */
  inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(name) ?? new SerialQueue();
    this.#queues.set(name, queue);
    return queue.run(work);
  }

  /** Reads a task's file; throws `invalid_task` where it is damaged or of another encoder. */
  open(bytes: Uint8Array): Task {
    return this.#module.Task.open(bytes, this.encoderSha256);
  }

  /** Calls `work` with the task, if there is one; it must not use it later, as the task may be replaced then. */
  async find<T>(name: string, work: (task: Task) => T): Promise<T | undefined> {
    if (!this.#open.has(name)) {
      const bytes = await readTask({ name, version: 0 });
      if (bytes && !this.#open.has(name)) this.#open.set(name, { task: this.open(bytes), kept: true });
    }
    const open = this.#open.get(name);
    return open && work(open.task);
  }

  /** What the task has learnt; `null` where there is none. */
  async describe(name: string): Promise<TaskInfo | null> {
    const found = await this.find(name, (task) => task.describe());
    if (!found) return null;
    const earlier = this.#earlierCounts.get(name) ?? (await this.#earlier(name)).length;
    this.#earlierCounts.set(name, earlier);
    return { ...found, kept: this.#open.get(name)?.kept === true, earlier };
  }

  /** As `find`, but a task that is not there is an error. */
  async use<T>(name: string, work: (task: Task) => T): Promise<T> {
    const found = await this.find(name, (task) => ({ result: work(task) }));
    if (!found) throw new InvalidInputError(`the task "${name}" has not learnt anything yet`);
    return found.result;
  }

  /** Puts the task in the place of an earlier one of its name; where the device has no room, the earlier one stays. */
  async keep(name: string, task: Task): Promise<void> {
    const earlier = this.#open.get(name)?.task;
    try {
      const kept = await keepTask({ name, version: 0 }, new Uint8Array(task.export()));
      this.#open.set(name, { task, kept });
    } catch (error) {
      // What is on the device counts; it is read again when it is needed.
      if (earlier === task) this.#open.delete(name);
      task.free();
      throw error;
    }
    if (earlier !== task) earlier?.free();
  }

  /** As `keep`, and what was there before can be had back. */
  async replace(name: string, task: Task): Promise<void> {
    // One that cannot be read is not worth keeping.
    const before = await this.find(name, (earlier) => new Uint8Array(earlier.export())).catch(() => undefined);
    if (before) {
      try {
        await this.#keepEarlier(name, [before, ...(await this.#earlier(name))]);
      } catch (error) {
        task.free();
        throw error;
      }
    }
    await this.keep(name, task);
  }

  /** Puts the version before in the place of the task. */
  async rollback(name: string): Promise<void> {
    const [last, ...older] = await this.#earlier(name);
    if (!last) throw new InvalidInputError(`the task "${name}" has no earlier version`);
    await this.keep(name, this.open(last));
    await this.#keepEarlier(name, older);
  }

  async forget(name: string): Promise<void> {
    await removeTask({ name, version: 0 });
    await this.#keepEarlier(name, []);
    this.#open.get(name)?.task.free();
    this.#open.delete(name);
  }

  /** Frees the memory; what is on the device stays. */
  free(): void {
    for (const { task } of this.#open.values()) task.free();
    this.#open.clear();
  }

  /** Files of the versions before, newest first. */
  async #earlier(name: string): Promise<readonly Uint8Array<ArrayBuffer>[]> {
    const unkept = this.#unkept.get(name);
    if (unkept) return unkept;
    const files: Uint8Array<ArrayBuffer>[] = [];
    for (let version = 1; version <= MOST_EARLIER; version++) {
      const bytes = await readTask({ name, version });
      if (!bytes) break;
      files.push(bytes);
    }
    return files;
  }

  /** Keeps the newest of the files; the oldest is written first, so that what fails leaves no gap. */
  async #keepEarlier(name: string, files: readonly Uint8Array<ArrayBuffer>[]): Promise<void> {
    const versions = files.slice(0, MOST_EARLIER);
    this.#earlierCounts.delete(name);
    for (let version = MOST_EARLIER; version > 0; version--) {
      const bytes = versions[version - 1];
      if (!bytes) {
        await removeTask({ name, version });
      } else if (!(await keepTask({ name, version }, bytes))) {
        this.#unkept.set(name, versions);
        return;
      }
    }
    this.#unkept.delete(name);
  }
}
