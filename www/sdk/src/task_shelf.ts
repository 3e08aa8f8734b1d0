/** The tasks of one encoder: in memory once they were used, on the device where the browser can (worker only). */
import type { EngineModule, Task } from './engine_module.js';
import { InvalidInputError } from './errors.js';
import type { TaskInfo } from './protocol.js';
import { keepTask, readTask, removeTask } from './task_folder.js';

export class TaskShelf {
  readonly encoderSha256: string;
  readonly #module: EngineModule;
  readonly #open = new Map<string, { readonly task: Task; readonly kept: boolean }>();

  constructor(module: EngineModule, encoderSha256: string) {
    this.#module = module;
    this.encoderSha256 = encoderSha256;
  }

  /** Reads a task's file; throws `invalid_task` where it is damaged or of another encoder. */
  open(bytes: Uint8Array): Task {
    return this.#module.Task.open(bytes, this.encoderSha256);
  }

  async find(name: string): Promise<Task | undefined> {
    const open = this.#open.get(name);
    if (open) return open.task;
    const bytes = await readTask(name);
    if (!bytes) return undefined;
    const task = this.open(bytes);
    this.#open.set(name, { task, kept: true });
    return task;
  }

  /** What the task has learnt; `null` where there is none. */
  async describe(name: string): Promise<TaskInfo | null> {
    const task = await this.find(name);
    return task ? { ...task.describe(), kept: this.#open.get(name)?.kept === true } : null;
  }

  /** As `find`, but a task that is not there is an error. */
  async get(name: string): Promise<Task> {
    const task = await this.find(name);
    if (!task) throw new InvalidInputError(`the task "${name}" has not learnt anything yet`);
    return task;
  }

  /** Puts the task in the place of an earlier one of its name; where the device has no room, the earlier one stays. */
  async keep(name: string, task: Task): Promise<void> {
    const earlier = this.#open.get(name)?.task;
    try {
      const kept = await keepTask(name, new Uint8Array(task.export()));
      this.#open.set(name, { task, kept });
    } catch (error) {
      // What is on the device counts; it is read again when it is needed.
      if (earlier === task) this.#open.delete(name);
      task.free();
      throw error;
    }
    if (earlier !== task) earlier?.free();
  }

  async forget(name: string): Promise<void> {
    await removeTask(name);
    this.#open.get(name)?.task.free();
    this.#open.delete(name);
  }

  /** Frees the memory; what is on the device stays. */
  free(): void {
    for (const { task } of this.#open.values()) task.free();
    this.#open.clear();
  }
}
