// In the page: learns a task from examples and answers with it, and says how long both took and what memory.
/* global performance */

/**
 * Milliseconds of learning, the reading of the texts among them, and of each answer; bytes of the page and its
 * workers before and after each learning.
 */
export async function learn({ rows, texts, threads, repeats }) {
  const { Frontdesk } = await import('/frontdesk/index.js');
  const desk = await Frontdesk.create({ modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'only_on_device', threads });
  try {
    const learning = [];
    const memory = [await usedBytes()];
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const started = performance.now();
      let read;
      const onProgress = ({ type }) => {
        if (type === 'learning') read ??= performance.now() - started;
      };
      await desk.task('measured').learn(rows, { onProgress });
      learning.push({ ms: performance.now() - started, readMs: read });
      memory.push(await usedBytes());
    }
    const answers = [];
    for (const text of texts) {
      const started = performance.now();
      await desk.classify(text, { task: 'measured' });
      answers.push(performance.now() - started);
    }
    return { threads: desk.info.threads, learning, answers, memory };
  } finally {
    await desk.destroy();
  }
}

async function usedBytes() {
  return (await performance.measureUserAgentSpecificMemory()).bytes;
}
