/** Seed of random tests: printed, and given as `SEED=…` to repeat a run. */
export const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))

console.info(`SEED=${seed}`)
