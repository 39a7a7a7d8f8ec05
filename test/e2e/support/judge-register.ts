import { type Call, type Judged, line } from './history.ts'
import { WAIT_SECONDS } from './values.ts'

/**
 * Checks a key with one writer whose values are numbered in the order of their puts. A read may return the last value that was acknowledged before the read
 * began, any value that was put since, and at any time a value whose put had no answer. A value that was read, or a loss that was reported, is not undone.
 */
export function judgeRegister({ calls, lossesMs }: Judged): string[] {
  const puts = new Map(calls.filter(({ kind }) => kind === 'put').map((put) => [put.number, put]))
  const reads = calls.filter(({ kind }) => kind !== 'put').sort((a, b) => a.invokedMs - b.invokedMs)
  const settled = [...calls].sort((a, b) => a.returnedMs - b.returnedMs)
  const wrong: string[] = []
  let next = 0
  let least = 0
  let lostMs = Number.NEGATIVE_INFINITY
  for (const read of reads) {
    for (; (settled[next]?.returnedMs ?? Number.POSITIVE_INFINITY) <= read.invokedMs; next++) {
      const call = settled[next] as Call
      if (call.code === 'OBJECT_LOST') lostMs = Math.max(lostMs, call.invokedMs)
      if (call.code === 'ok' && !isUnknown(puts.get(call.number))) least = Math.max(least, call.number)
    }
    const put = puts.get(read.kind === 'wait' ? 1 : read.number)
    const problem = problemOf(read, { put, last: puts.get(least), lostMs, lossesMs })
    if (problem !== null) wrong.push(`${problem}: ${line(read)}; ${least} was settled`)
  }
  return wrong
}

function problemOf(
  read: Call,
  known: { put: Call | undefined; last: Call | undefined; lostMs: number; lossesMs: readonly number[] },
): string | null {
  const { put, last, lostMs, lossesMs } = known
  const isLost = lossesMs.some((ms) => ms <= read.returnedMs && ms >= (last?.invokedMs ?? 0))
  if (read.code === 'OBJECT_LOST') return isLost ? null : 'lost though no node died'
  if (read.code === 'NOT_FOUND') return isMiss(read, known) ? null : 'an acknowledged put is missing'
  if (read.code !== 'ok') return null
  if (put === undefined || put.invokedMs > read.returnedMs) return 'a value from nowhere'
  if (isUnknown(put)) return null
  if (put.code !== 'ok') return 'a put that failed can be seen'
  if (put.number < (last?.number ?? 0)) return 'a stale value'
  return put.returnedMs < lostMs ? 'a lost value is back' : null
}

/** A get that waits misses only what was put after its wait had ended. */
function isMiss(read: Call, { put, last }: { put: Call | undefined; last: Call | undefined }): boolean {
  if (read.kind !== 'wait') return last === undefined
  return put?.code !== 'ok' || put.returnedMs >= read.invokedMs + WAIT_SECONDS * 1000
}

/** The put may be carried out at any later time. */
function isUnknown(put: Call | undefined): boolean {
  return put?.code === 'OUTCOME_UNKNOWN'
}
