import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { clusterToken } from './cluster-token.ts'

/** Sends a report to the controller and returns its answer; rejects with `UNAVAILABLE` if there is none. */
export type Tell<Report, Answer> = (report: Report) => Promise<Answer>

/**
 * Returns a function that posts a report to the controller's internal port. It rejects with `UNAVAILABLE`
 * unless the controller accepts the report.
 */
export function reportTo<Report, Answer>(to: {
  url: string
  /** The subject: `nodes/ID/heartbeat`, `nodes/ID/capacity` or `metadata/ID/heartbeat`. */
  path: string
  secret: Buffer
  clock: Clock
}): Tell<Report, Answer> {
  const url = new URL(`/internal/v1/${to.path}`, to.url)
  return async (report) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${clusterToken(to.secret, to.clock.wallMs()).toString('base64url')}`,
      },
      body: JSON.stringify(report),
      signal: AbortSignal.timeout(CONTROL_CALL_MS),
    }).catch((cause: unknown) => {
      throw new MayflyError('UNAVAILABLE', `The controller at ${to.url} does not answer`, { cause })
    })
    const body = await response.text()
    if (!response.ok)
      throw new MayflyError('UNAVAILABLE', `The controller answered ${response.status}: ${body}`)
    try {
      return JSON.parse(body) as Answer
    } catch (cause) {
      throw new MayflyError('UNAVAILABLE', `What answers at ${to.url} is no controller`, { cause })
    }
  }
}
