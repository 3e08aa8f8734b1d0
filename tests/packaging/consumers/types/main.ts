/** What a program in TypeScript sees of the package. */
import { type Classification, type CreateOptions, Frontdesk, FrontdeskError, openaiCompatible } from 'frontdesk';

export async function labelOf(text: string): Promise<string> {
  const desk = await Frontdesk.create({ cloud: openaiCompatible({ url: '/v1/chat/completions', model: 'big-model' }) });
  try {
    const answer: Classification = await desk.classify(text, { labels: ['billing', 'shipping'] });
    return answer.value;
  } catch (error) {
    if (FrontdeskError.isInstance(error)) return error.code;
    throw error;
  } finally {
    await desk.destroy();
  }
}

// @ts-expect-error There is no such mode: the types are found, and stand for more than anything at all.
export const wrong: CreateOptions = { mode: 'sometimes' };
