import type { Plan } from './plan.ts'
import { planted } from './planted/plants.ts'
import { simulate } from './scenario.ts'
import { describeFailure, shrink } from './shrink.ts'

/** The task of one process of the simulation, and its results. */
export interface Order {
  readonly from: number
  readonly seeds: number
  readonly step: number
  readonly calls: number
  readonly faults: readonly number[] | null
  /** Stop at the first seed that fails. */
  readonly stopAtFailure: boolean
  readonly shrink: boolean
  readonly verbose: boolean
  /** The name of the planted bug, or an empty string. */
  readonly planted: string
  /** As in `Plan`. */
  readonly profile: string
}

export type Report =
  | {
      readonly kind: 'seed'
      readonly seed: number
      readonly hash: string
      readonly calls: number
      readonly gaveUp: number
      readonly text: string
    }
  | { readonly kind: 'failed'; readonly seed: number; readonly text: string }

export { planted }

const order = process.argv[2]
if (order?.startsWith('{')) {
  forbidRealWorld()
  await run(JSON.parse(order) as Order)
  process.disconnect?.()
}

async function run(order: Order): Promise<void> {
  for (let seed = order.from; seed < order.from + order.seeds; seed += order.step) {
    const plan: Plan = { seed, calls: order.calls, faults: order.faults, profile: order.profile }
    const result = await simulate(plan)
    const { hash, calls, gaveUp } = result
    const text = order.verbose
      ? [
          `seed ${seed} (${result.profile}): ${calls} calls, ${result.events} events, ${result.virtualMs.toFixed(0)} ms`,
          ...result.notes,
        ].join('\n  ')
      : ''
    tell({ kind: 'seed', seed, hash, calls, gaveUp, text })
    if (result.failures.length === 0) continue
    const shrunk = order.shrink ? await shrink(plan, result) : { plan, run: result }
    tell({ kind: 'failed', seed, text: describeFailure(shrunk, order.planted) })
    if (order.stopAtFailure) return
  }
}

function tell(report: Report): void {
  if (process.send) process.send(report)
  else console.log(report.kind === 'failed' ? report.text : `${report.seed} ${report.hash}`)
}

/** Real time and real randomness would make a run differ from its seed, so their use is an error. */
function forbidRealWorld(): void {
  const forbid = (name: string) => () => {
    throw new Error(`${name} was called in the simulation`)
  }
  Math.random = forbid('Math.random')
  Date.now = forbid('Date.now')
  performance.now = forbid('performance.now')
  globalThis.setTimeout = forbid('setTimeout') as unknown as typeof setTimeout
  globalThis.setInterval = forbid('setInterval') as unknown as typeof setInterval
}
