import { runInFlight } from '../../../protocol/transport/in-flight.ts'
import { isTransient } from '../traffic/buckets.ts'
import type { Client } from '../traffic/client.ts'
import { type Call, isMutation, isUnknown, keysOf } from '../traffic/history.ts'
import type { Home } from '../traffic/values.ts'
import type { Cluster } from '../world/cluster.ts'
import type { PlacedJob } from '../world/control.ts'
import { unsettledSlots } from '../world/inspection.ts'
import type { Failure } from './judge.ts'
import { checkLeaks, checkOwners, checkPersisted } from './quiet.ts'

/** The default of the SDK. In this world a node reads one chunk of the persistent store at a time, which may take 1.2 s. */
const LAST_DEADLINE_MS = 30_000
/** Keys that are read at once: fewer than a node has leases for readers of one job, as all may be on one. */
const HOMES_IN_FLIGHT = 16
/** Longer than a write to the tier below and a pause after a failed one. */
const MOVEMENT_MS = 500

export interface Inspected {
  readonly cluster: Cluster
  readonly job: PlacedJob
  /** Every key that may hold something. */
  readonly homes: readonly Home[]
  readonly reader: Client
  /** All calls of the run. */
  readonly calls: readonly Call[]
  /** A node has taken slots without their persisted objects. */
  readonly isForgotten: boolean
  readonly sleep: (ms: number) => Promise<void>
}

/** At rest: every key of the job is read, and every byte is accounted for. */
export async function inspect({
  cluster,
  job,
  homes,
  reader,
  calls,
  isForgotten,
  sleep,
}: Inspected): Promise<Failure[]> {
  const failures: Failure[] = []
  const fail = (rule: string, what: string): void => void failures.push({ rule, what })
  const readings: Awaited<ReturnType<typeof reader.call>>[] = []
  await runInFlight(homes, HOMES_IN_FLIGHT, async (home) => {
    const get = reader.call(home, { kind: 'get', consume: false, waitSeconds: 0 }, LAST_DEADLINE_MS)
    readings.push(...(await Promise.all([get, reader.call(home, { kind: 'stat' }, LAST_DEADLINE_MS)])))
  })
  const made = readings.filter((call) => call !== null)
  for (const { id, home, outcome } of made) {
    const misses = ['NOT_FOUND', 'OBJECT_LOST', ...(isTransient(home.bucket) ? ['BUCKET_NOT_FOUND'] : [])]
    if (outcome.kind === 'error' && !misses.includes(outcome.code))
      fail('the cluster does not recover', `call #${id} fails with ${outcome.code}: ${outcome.message}`)
  }
  // Reads may have promoted objects and so demoted others.
  await sleep(MOVEMENT_MS)
  const nodes = cluster.living
  for (const what of checkOwners(nodes, job)) fail('not one owner', what)
  for (const { id, service } of nodes) {
    const unsettled = service === null ? [] : unsettledSlots(service, job.id)
    if (unsettled.length > 0) fail('not settled', `${id}: slots ${unsettled.join(', ')} of ${job.id}`)
  }
  const spotOf = cluster.metadata.spots()
  for (const what of checkLeaks(nodes, job.id, { readings: made, spotOf }))
    fail('bytes that nobody owns', what)
  if (isForgotten) return failures
  const stored = await cluster.backends.readPersisted(reader.host, job.id)
  const open = calls.filter(({ action, outcome }) => isMutation(action) && isUnknown(outcome))
  const unknown = open.flatMap(({ action }) => (action.kind === 'put' ? [action.value] : []))
  const wrong = checkPersisted(stored, {
    job: job.id,
    readings: made,
    mayBePersisted: new Set(unknown),
    mayBeGone: (home) => open.some((call) => call.home.job === job.id && keysOf(call).includes(home.key)),
  })
  for (const what of wrong) fail('the persistent store and its job do not agree', what)
  return failures
}
