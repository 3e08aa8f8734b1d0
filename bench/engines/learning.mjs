// In the page: learns a task from examples and answers with it, and says how long both took.
/* global performance */

let desk;

/** Loads the models; the number of threads that there are. */
export async function start({ threads }) {
  const { Frontdesk } = await import('/frontdesk/index.js');
  desk = await Frontdesk.create({ modelBaseUrl: '/models', reflex: 'minilm-l6', mode: 'only_on_device', threads });
  return desk.info.threads;
}

/** Milliseconds of learning, the reading of the texts among them. */
export async function learn({ rows }) {
  const started = performance.now();
  let readMs;
  const onProgress = ({ type }) => {
    if (type === 'learning') readMs ??= performance.now() - started;
  };
  await desk.task('measured').learn(rows, { onProgress });
  return { ms: performance.now() - started, readMs };
}

/** Milliseconds of each answer. */
export async function answer({ texts }) {
  const answers = [];
  for (const text of texts) {
    const started = performance.now();
    await desk.classify(text, { task: 'measured' });
    answers.push(performance.now() - started);
  }
  return answers;
}
