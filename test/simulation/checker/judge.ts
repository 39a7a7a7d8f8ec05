import type { Operation } from '../model/state.ts'
import { type Call, describeCall } from '../traffic/history.ts'
import { nameOf } from '../traffic/values.ts'
import { checkAnswers, type World } from './answers.ts'
import { type KeyHistory, splitByKey } from './key-histories.ts'
import { checkOrder } from './linearizability.ts'
import { checkProgress } from './progress.ts'

/** A violated rule, with the evidence. */
export interface Failure {
  readonly rule: string
  readonly what: string
}

/** Checks the whole history of a run. `gaveUp` counts keys with too many possible orders to check. */
export function judge(calls: readonly Call[], world: World): { failures: Failure[]; gaveUp: number } {
  const failures: Failure[] = checkAnswers(calls, world).map(({ call, what }) => ({
    rule: 'an answer that cannot be',
    what: `${what}\n  ${describeCall(call)}`,
  }))
  for (const call of calls) {
    const what = checkProgress(call, world.progress)
    if (what !== null) failures.push({ rule: 'no progress', what: `${what}\n  ${describeCall(call)}` })
  }
  let gaveUp = 0
  for (const history of splitByKey(calls, world)) {
    if (world.forgotten.has(history.home.job) && wasPersisted(history)) continue
    const verdict = checkOrder(history.operations, { initial: history.initial })
    if (verdict.kind === 'gaveUp') gaveUp++
    if (verdict.kind === 'violated') {
      failures.push({ rule: 'not linearizable', what: describe(history, calls, verdict) })
    }
  }
  return { failures, gaveUp }
}

/** Whether anything may ever have been in the persistent store. */
function wasPersisted({ operations }: KeyHistory): boolean {
  return operations.some(({ what }) => what.kind === 'put' && what.persist)
}

/** Number of a key's calls that are shown with a failure. */
const SHOWN_CALLS = 14

function describe(
  { home, operations }: KeyHistory,
  calls: readonly Call[],
  { operation, states }: { operation: Operation; states: readonly string[] },
): string {
  const before = operations
    .filter(({ calledMs }) => calledMs <= operation.returnedMs)
    .sort((a, b) => a.calledMs - b.calledMs)
    .filter((shown, index, all) => shown === operation || index >= all.length - SHOWN_CALLS)
  const lines = before.map((shown) => {
    const call = shown.call === null ? undefined : calls[shown.call]
    const text =
      call === undefined ? `${shown.calledMs.toFixed(1)} ms: a node with the key dies` : describeCall(call)
    return `${shown === operation ? '>' : ' '} ${text}`
  })
  return [
    `no order explains the marked call on ${nameOf(home)};`,
    `before it the key could be: ${states.join(' or ')}`,
    ...lines,
  ].join('\n  ')
}
