import { type Call, type Judged, line } from './history.ts'
import { RECORD_BYTES } from './values.ts'

/** At most one of many consumers gets an object, and an object is missing only if one of them may have got it. */
export function judgeConsumes({ calls, lossesMs }: Judged): string[] {
  const consumes = calls.filter(({ kind }) => kind === 'consume')
  const taken = consumes.filter(({ code }) => code === 'ok')
  const wrong = taken.slice(1).map((call) => `consumed twice: ${line(call)}`)
  const put = calls.find(({ kind, code }) => kind === 'put' && code === 'ok')
  for (const call of consumes) {
    if (call.code === 'OBJECT_LOST' && !lossesMs.some((ms) => ms <= call.returnedMs))
      wrong.push(`lost though no node died: ${line(call)}`)
    if (call.code !== 'NOT_FOUND' || put === undefined || put.returnedMs > call.invokedMs) continue
    const others = consumes.filter((other) => other !== call && other.invokedMs < call.returnedMs)
    if (!others.some(({ code }) => code === 'ok' || code === 'OUTCOME_UNKNOWN'))
      wrong.push(`an acknowledged put is missing: ${line(call)}`)
  }
  return wrong
}

/**
 * A log has one writer and records of one length. Each append adds one record; an append without an answer may be carried out at any later time. After a loss
 * the log begins again.
 */
export function judgeLogs({ calls, lossesMs }: Judged): string[] {
  const wrong: string[] = []
  let bytes = 0
  let unknown = 0
  let sinceMs = 0
  for (const call of [...calls].sort((a, b) => a.invokedMs - b.invokedMs)) {
    if (call.code === 'OUTCOME_UNKNOWN') unknown++
    if (call.code !== 'ok') continue
    const extra = (call.number - bytes) / RECORD_BYTES - 1
    const isLost = lossesMs.some((ms) => ms >= sinceMs && ms <= call.returnedMs) && extra < 0
    if (!isLost && (extra < 0 || extra > unknown || !Number.isInteger(extra)))
      wrong.push(`not one record more than ${bytes} bytes: ${line(call)}`)
    if (!isLost) unknown -= extra
    bytes = call.number
    sinceMs = call.invokedMs
  }
  return wrong
}

/** Exactly one of the calls that replace one version, or claim one key, succeeds; another may after a loss. */
export function judgeOnce({ calls, lossesMs }: Judged): string[] {
  const wrong: string[] = []
  const winners = new Map<number, Call>()
  for (const call of [...calls].sort((a, b) => a.invokedMs - b.invokedMs)) {
    if (call.code !== 'ok') continue
    const base = call.base ?? 0
    const first = winners.get(base)
    winners.set(base, call)
    if (first === undefined) continue
    const isLost = base === 0 && lossesMs.some((ms) => ms >= first.invokedMs && ms <= call.returnedMs)
    if (!isLost) wrong.push(`won twice from ${base}: ${line(first)} and ${line(call)}`)
  }
  return wrong
}

/** A key that existed before a listing began, and is never deleted, appears in it exactly once. */
export function judgeLists({ calls }: Judged): string[] {
  const firstPuts = new Map<string, Call>()
  for (const call of calls) {
    if (call.kind === 'put' && call.code === 'ok' && !firstPuts.has(call.key)) firstPuts.set(call.key, call)
  }
  return calls.flatMap((list) => {
    if (list.kind !== 'list' || list.keys === undefined) return []
    const given = new Set(list.keys)
    const wrong = given.size < list.keys.length ? [`a key appears twice: ${line(list)}`] : []
    for (const [key, { returnedMs }] of firstPuts) {
      if (key.startsWith(list.key) && returnedMs < list.invokedMs && !given.has(key))
        wrong.push(`${key} is missing: ${line(list)}`)
    }
    return wrong
  })
}
