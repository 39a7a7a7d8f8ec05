import { type Call, type Judged, line } from './history.ts'
import { judgeRegister } from './judge-register.ts'
import { judgeConsumes, judgeLists, judgeLogs, judgeOnce } from './judge-shared.ts'

/** How far a call may exceed its bound on a busy machine. */
const LATE_MS = 3_000

/** Errors that every call may have while nodes die, hang and are cut off. */
const honest = ['OBJECT_LOST', 'OUTCOME_UNKNOWN', 'UNAVAILABLE', 'DEADLINE_EXCEEDED']

/** Errors that only some kinds of calls may have, with or without faults. */
const usual: Readonly<Record<Call['kind'], readonly string[]>> = {
  put: [],
  get: ['NOT_FOUND'],
  consume: ['NOT_FOUND'],
  wait: ['NOT_FOUND'],
  append: [],
  list: [],
  swap: ['KEY_EXISTS', 'VERSION_MISMATCH', 'NOT_FOUND'],
  claim: ['KEY_EXISTS'],
}

/** The violations of a run, one line each; empty if there are none. */
export function judge({ calls, lossesMs }: Judged, options: { readonly mayFail: boolean }): string[] {
  const wrong: string[] = []
  for (const call of calls) {
    if (call.returnedMs - call.invokedMs > call.boundMs + LATE_MS) wrong.push(`hangs: ${line(call)}`)
    if (call.code === 'ok' || usual[call.kind].includes(call.code)) continue
    if (!options.mayFail || !honest.includes(call.code)) wrong.push(`fails: ${line(call)}`)
    else if (isEarly(call)) wrong.push(`gives up early: ${line(call)}`)
  }
  for (const [key, ofKey] of byKey(calls)) {
    const kinds = new Set(ofKey.map(({ kind }) => kind))
    const judged = { calls: ofKey, lossesMs }
    if (kinds.has('append')) wrong.push(...judgeLogs(judged))
    else if (kinds.has('swap') || kinds.has('claim')) wrong.push(...judgeOnce(judged))
    else if (key.startsWith('q/')) wrong.push(...judgeConsumes(judged))
    else if (!kinds.has('list')) wrong.push(...judgeRegister(judged))
  }
  return [...wrong, ...judgeLists({ calls, lossesMs })].slice(0, 20)
}

/** `UNAVAILABLE` and `DEADLINE_EXCEEDED` are allowed only once a call's time has passed; the last pause between retries is 500 ms. */
function isEarly({ kind, code, boundMs, invokedMs, returnedMs }: Call): boolean {
  if (code !== 'UNAVAILABLE' && code !== 'DEADLINE_EXCEEDED') return false
  // These two consist of several calls, each with its own deadline.
  if (kind === 'list' || kind === 'swap') return false
  return returnedMs - invokedMs < boundMs - 600
}

function byKey(calls: readonly Call[]): Map<string, Call[]> {
  const groups = new Map<string, Call[]>()
  for (const call of calls) {
    const group = groups.get(call.key)
    if (group === undefined) groups.set(call.key, [call])
    else group.push(call)
  }
  return groups
}
