// Hands what was learnt from one desk to the next, where the browser keeps no files and it would be lost.
import type { Frontdesk } from 'frontdesk';
import { TASK_NAME } from './use_teaching.js';

/** Gives `to` back; where the task cannot be brought, `to` ends and `from` is as it was. */
export async function bringTask({ from, to }: { readonly from: Frontdesk; readonly to: Frontdesk }): Promise<Frontdesk> {
  if (from.info?.reflex === undefined || to.info?.reflex === undefined) return to;
  try {
    const task = from.task(TASK_NAME);
    const info = await task.info();
    if (info !== null && !info.kept) await to.task(TASK_NAME).import(await task.export());
    return to;
  } catch (error) {
    void to.destroy();
    throw error;
  }
}
