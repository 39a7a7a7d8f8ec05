import { MayflyError } from '../../protocol/errors.ts'
import { CONTROL_CALL_MS } from '../../protocol/limits.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { tlsFault } from '../../protocol/transport/tls.ts'
import { fetchTrusting } from '../../protocol/transport/trusting-fetch.ts'
import { clusterToken } from './cluster-token.ts'

/** Sends a report to the controller and returns its answer; rejects with `UNAVAILABLE` if there is none. */
export type Tell<Report, Answer> = (report: Report) => Promise<Answer>

/**
 * Returns a function that posts a report to the controller's internal port. It rejects with `TLS_FAILED` or `UNAVAILABLE`
 * unless the controller accepts the report.
 */
export function reportTo<Report, Answer>(to: {
  url: string
  /** The subject: `nodes/ID/heartbeat`, `nodes/ID/capacity` or `metadata/ID/heartbeat`. */
  path: string
  secret: Buffer
  clock: Clock
  /** The CA of an https URL in PEM; null for those that Node trusts. */
  ca: () => string | null
}): Tell<Report, Answer> {
  const url = new URL(`/internal/v1/${to.path}`, to.url)
  return async (report) => {
    const token = clusterToken(to.secret, to.clock.wallMs()).toString('base64url')
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(report),
      signal: AbortSignal.timeout(CONTROL_CALL_MS),
    }
    const response = await fetchTrusting(url, request, to.ca()).catch((cause: unknown) => {
      const fault = tlsFault(cause instanceof Error ? cause.cause : null)
      if (fault !== null)
        throw new MayflyError('TLS_FAILED', `The controller at ${to.url} ${fault}`, { cause })
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
