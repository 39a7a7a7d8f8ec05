import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { tlsFault } from '../../protocol/transport/tls.ts'
import { fetchTrusting } from '../../protocol/transport/trusting-fetch.ts'
import { clusterToken } from './cluster-token.ts'

/** Sends a report to the controller and returns its answer; rejects with `UNAVAILABLE` if there is none. */
export type Tell<Report, Answer> = (report: Report) => Promise<Answer>

interface To {
  /** Of the controller, or of the processes of which one is the controller, separated by commas. */
  readonly url: string
  /** The subject: `nodes/ID/heartbeat`, `nodes/ID/capacity` or `metadata/ID/heartbeat`. */
  readonly path: string
  readonly secret: Buffer
  readonly clock: Clock
  /** The CA of an https URL in PEM; null for those that Node trusts. */
  readonly ca: () => string | null
}

/**
 * Returns a function that posts a report to the controller's internal port. It begins with the process that accepted the last report, and
 * rejects with `TLS_FAILED` or `UNAVAILABLE` unless one accepts it.
 */
export function reportTo<Report, Answer>(to: To): Tell<Report, Answer> {
  const urls = to.url.split(',')
  let first = 0
  return async (report) => {
    const { clock } = to
    const deadlineMs = clock.monotonicMs() + CONTROL_CALL_MS
    let failure: unknown
    for (let tried = 0; tried < urls.length; tried++) {
      const index = (first + tried) % urls.length
      // One that does not answer leaves time for the others.
      const answerMs = Math.max(1, (deadlineMs - clock.monotonicMs()) / (urls.length - tried))
      try {
        const answer = await post(urls[index] ?? '', { ...to, report, answerMs })
        first = index
        return answer as Answer
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}

async function post(
  base: string,
  { path, secret, clock, ca, report, answerMs }: To & { report: unknown; answerMs: number },
): Promise<unknown> {
  const token = clusterToken(secret, clock.wallMs()).toString('base64url')
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(report),
    signal: AbortSignal.timeout(Math.ceil(answerMs)),
  }
  const url = new URL(`/internal/v1/${path}`, base)
  const response = await fetchTrusting(url, request, ca()).catch((cause: unknown) => {
    const fault = tlsFault(cause instanceof Error ? cause.cause : null)
    if (fault !== null) throw new MayflyError('TLS_FAILED', `The controller at ${base} ${fault}`, { cause })
    throw new MayflyError('UNAVAILABLE', `The controller at ${base} does not answer`, { cause })
  })
  const body = await response.text()
  if (!response.ok)
    throw new MayflyError('UNAVAILABLE', `The controller answered ${response.status}: ${body}`)
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw new MayflyError('UNAVAILABLE', `What answers at ${base} is no controller`, { cause })
  }
}
