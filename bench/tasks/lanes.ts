import { type Tallied, Tally } from './tally.ts'

/** One call after the other in each lane, so `lanes` calls are outstanding at any moment. */
export interface Lanes {
  readonly outstanding: number
  /** Calls start during this time; each of them is awaited and counted. */
  readonly ms: number
  /** Length of the uncounted warm-up, which opens connections and compiles code. */
  readonly warmUpMs: number
}

/** `call` resolves with the number of bytes that it moved, or rejects. */
export async function runLanes(lanes: Lanes, call: () => Promise<number>): Promise<Tallied> {
  const warmUp = new Tally()
  await runFor(lanes.warmUpMs, lanes.outstanding, { call, tally: warmUp })
  const tally = new Tally()
  const beganMs = performance.now()
  await runFor(lanes.ms, lanes.outstanding, { call, tally })
  const result = tally.result((performance.now() - beganMs) / 1000)
  return { ...result, failures: [...warmUp.result(1).failures, ...result.failures] }
}

async function runFor(
  ms: number,
  outstanding: number,
  { call, tally }: { call: () => Promise<number>; tally: Tally },
): Promise<void> {
  const endMs = performance.now() + ms
  const lane = async (): Promise<void> => {
    for (let nowMs = performance.now(); nowMs < endMs; ) {
      try {
        const bytes = await call()
        const thenMs = performance.now()
        tally.add(thenMs - nowMs, bytes)
        nowMs = thenMs
      } catch (error) {
        tally.fail(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
        nowMs = performance.now()
      }
    }
  }
  await Promise.all(Array.from({ length: outstanding }, lane))
}
