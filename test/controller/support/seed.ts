/** Of random tests: given as `SEED=…` to repeat a run, and printed, so that it can be. */
export const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

console.info(`SEED=${seed}`)
