/** The tasks of one encoder: in memory once they were used, on the device always (worker only). */
import type { EngineModule, Task } from './engine_module.js';
import { InvalidInputError } from './errors.js';
import { keepTask, readTask, removeTask } from './task_folder.js';

export class TaskShelf {
  readonly encoderSha256: string;
  readonly #module: EngineModule;
  readonly #open = new Map<string, Task>();

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
    if (open) return open;
    const bytes = await readTask(name);
    if (!bytes) return undefined;
    const task = this.open(bytes);
    this.#open.set(name, task);
    return task;
  }

  /** As `find`, but a task that is not there is an error. */
  async get(name: string): Promise<Task> {
    const task = await this.find(name);
    if (!task) throw new InvalidInputError(`the task "${name}" has not learnt anything yet`);
    return task;
  }

  /** Puts the task in the place of an earlier one of its name; where it cannot be kept, the earlier one stays. */
  async keep(name: string, task: Task): Promise<void> {
    try {
      await keepTask(name, new Uint8Array(task.export()));
    } catch (error) {
      // What is on the device counts; it is read again when it is needed.
      if (this.#open.get(name) === task) this.#open.delete(name);
      task.free();
      throw error;
    }
    const earlier = this.#open.get(name);
    if (earlier !== task) earlier?.free();
    this.#open.set(name, task);
  }

  async forget(name: string): Promise<void> {
    await removeTask(name);
    this.#open.get(name)?.free();
    this.#open.delete(name);
  }

  /** Frees the memory; what is on the device stays. */
  free(): void {
    for (const task of this.#open.values()) task.free();
    this.#open.clear();
  }
}
