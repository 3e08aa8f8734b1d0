// A clock that someone keeps setting back.
const begin = Date.now();
let steps = 0;

Date.now = () => begin - 3_600_000 * (steps += 1);
