import { errorOf } from '../client/controller-api.ts'
import { asMayflyError, MayflyError } from '../protocol/errors.ts'
import { CONTROL_CALL_MS, HEARTBEAT_MS } from '../protocol/limits.ts'
import { type Clock, repeat } from '../protocol/runtime.ts'
import { fetchTrusting } from '../protocol/transport/trusting-fetch.ts'
import { clusterToken } from '../service/process/cluster-token.ts'
import type { Logger } from '../service/process/log.ts'
import type { Issue, Issued } from './jobs/open-jobs.ts'

interface Controller {
  readonly url: string
  readonly secret: Buffer
  readonly clock: Clock
  /** Of an https URL, in PEM; null for those that Node trusts. */
  readonly ca: () => string | null
}

/** Asks the controller for tickets, with the token of a process of the cluster. */
export function ticketsOf(controller: Controller): Issue {
  return async ({ job, ...rights }) =>
    (await post(controller, `jobs/${encodeURIComponent(job)}/tickets`, rights)) as Issued
}

/** What a gateway tells the controller, so that it can tell users where S3 is. */
export interface GatewayReport {
  readonly endpoint: string
  readonly metrics: string
}

/** Reports every second. Resolves when the controller has the first report, or cannot be reached. */
export async function reportGateway(
  controller: Controller,
  { id, report, log }: { id: string; report: GatewayReport; log: Logger },
): Promise<() => void> {
  let isHeard = true
  const tell = async (): Promise<void> => {
    try {
      await post(controller, `gateways/${encodeURIComponent(id)}/heartbeat`, report)
      if (!isHeard) log.info('the controller answers again')
      isHeard = true
    } catch (error) {
      if (isHeard) log.warn({ reason: asMayflyError(error).reason }, 'the controller does not answer')
      isHeard = false
    }
  }
  await tell()
  const timer = repeat(controller.clock, HEARTBEAT_MS, tell)
  return () => timer.cancel()
}

async function post({ url, secret, clock, ca }: Controller, path: string, body: unknown): Promise<unknown> {
  const token = clusterToken(secret, clock.wallMs()).toString('base64url')
  const request = {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(CONTROL_CALL_MS),
  }
  const response = await fetchTrusting(new URL(`/internal/v1/${path}`, url), request, ca()).catch(
    (cause: unknown) => {
      throw new MayflyError('UNAVAILABLE', `The controller at ${url} does not answer`, { cause })
    },
  )
  const text = await response.text()
  if (!response.ok) throw errorOf(text, response.status)
  return JSON.parse(text)
}
