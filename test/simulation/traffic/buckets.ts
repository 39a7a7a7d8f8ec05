import type { Job } from '../../../client/job.ts'
import { BUCKETS_MAX } from '../../../protocol/limits.ts'
import { sleep } from '../../../protocol/runtime.ts'
import type { Profile } from '../profiles.ts'
import type { Cluster } from '../world/cluster.ts'
import type { PlacedJob } from '../world/control.ts'
import type { Host } from '../world/host.ts'
import type { SeededRandom } from '../world/random.ts'
import type { Call, History } from './history.ts'
import { openSimulated } from './open.ts'
import { perform } from './perform.ts'

export const BUCKETS: readonly string[] = ['default', 'frames']

const LIVES_MS_MAX = 1_500
const GONE_MS_MAX = 150
/** How long a job has all buckets that it may have. */
const FULL_MS_MAX = 2_000
/** Longer than metadata waits for its nodes' confirmations. */
const DEADLINE_MS = 12_000

/** Names of buckets that are created and deleted. At most one bucket of each name exists, as long as its deletions are answered. */
export class TransientNames {
  readonly #rounds = new Map<string, number>()

  current(job: string): string {
    return nameOf(this.#rounds.get(job) ?? 0)
  }

  /** Every name that was in use. */
  all(job: string): string[] {
    return Array.from({ length: (this.#rounds.get(job) ?? 0) + 1 }, (_, round) => nameOf(round))
  }

  /** It is unknown when the deletion takes effect, so contents of another bucket of this name could not be checked. */
  giveUp(job: string): void {
    this.#rounds.set(job, (this.#rounds.get(job) ?? 0) + 1)
  }
}

export function isTransient(bucket: string): boolean {
  return bucket.startsWith('scratch')
}

function nameOf(round: number): string {
  return `scratch-${round}`
}

/** Creates the buckets that a job has during the whole run. */
export async function createBuckets(cluster: Cluster, host: Host, { ticket }: PlacedJob): Promise<void> {
  const client = openSimulated(host, ticket, cluster.network.of(host).dial)
  for (const bucket of BUCKETS) if (bucket !== 'default') await client.createBucket(bucket)
  await client.close()
}

/** Buckets that are created and deleted during the run, as its profile says. Never rejects. */
export async function playBuckets(
  cluster: Cluster,
  jobs: readonly PlacedJob[],
  of: {
    profile: Pick<Profile, 'transient' | 'fillsBuckets'>
    names: TransientNames
    history: History
    isOver: () => boolean
    violate: (rule: string, what: string) => void
  },
): Promise<void> {
  const { profile, names, history, isOver, violate } = of
  const randomOf = (what: string, { id }: PlacedJob): SeededRandom => cluster.random.fork(`${what}/${id}`)
  const cycled = profile.transient > 0 ? jobs : []
  const filled = profile.fillsBuckets ? jobs : []
  await Promise.all([
    ...cycled.map((job) =>
      cycleBucket(cluster, job, { names, history, random: randomOf('buckets', job), isOver }),
    ),
    ...filled.map((job) => fillBuckets(cluster, job, { history, random: randomOf('filling', job), violate })),
  ])
}

/** Creates buckets until the job has as many as it may have, and deletes them again. Never rejects. */
async function fillBuckets(
  cluster: Cluster,
  job: PlacedJob,
  of: { history: History; random: SeededRandom; violate: (rule: string, what: string) => void },
): Promise<void> {
  const { history, random, violate } = of
  const host = cluster.newHost('filler')
  await using client = openSimulated(host, job.ticket, cluster.network.of(host).dial)
  const call = caller(cluster, client, { job, host, history })
  const made: string[] = []
  for (let index = 0; index <= BUCKETS_MAX; index++) {
    const bucket = `scratch-filled-${index}`
    const { outcome } = await call('createBucket', bucket)
    if (outcome.kind === 'done') made.push(bucket)
    if (outcome.kind === 'error' && outcome.code === 'JOB_ENDED') return
    if (outcome.kind === 'error' && outcome.code === 'BAD_REQUEST') break
  }
  // Of those whose creation failed, some may be there.
  if (made.length > BUCKETS_MAX - BUCKETS.length)
    violate(
      'a bound',
      `${job.id} has ${made.length} buckets besides its own, and may have ${BUCKETS_MAX} in all`,
    )
  await sleep(host.clock, random.between(0, FULL_MS_MAX))
  for (const bucket of made) await call('deleteBucket', bucket)
}

function caller(
  cluster: Cluster,
  client: Job,
  of: { job: PlacedJob; host: Host; history: History },
): (kind: 'createBucket' | 'deleteBucket', bucket: string) => Promise<Call> {
  const { job, host, history } = of
  const { timeline } = cluster
  return async (kind, bucket) => {
    const home = { job: job.id, bucket, key: '' }
    const action = { kind }
    const begun = history.begin({
      client: host.id,
      home,
      action,
      deadlineMs: DEADLINE_MS,
      calledMs: timeline.nowMs,
    })
    begun.outcome = await perform(client, { home, action, deadlineMs: DEADLINE_MS })
    begun.returnedMs = timeline.nowMs
    return begun
  }
}

/** Creates and deletes one bucket of a job under the same name repeatedly, until `hasExpired`. Never rejects. */
async function cycleBucket(
  cluster: Cluster,
  job: PlacedJob,
  of: { names: TransientNames; history: History; random: SeededRandom; isOver: () => boolean },
): Promise<void> {
  const { names, history, random, isOver } = of
  const host = cluster.newHost('buckets')
  await using client = openSimulated(host, job.ticket, cluster.network.of(host).dial)
  const pause = (ms: number): Promise<void> => sleep(host.clock, random.between(0, ms))
  const call = caller(cluster, client, { job, host, history })
  while (!isOver()) {
    const created = await call('createBucket', names.current(job.id))
    if (created.outcome.kind === 'error') {
      if (created.outcome.code === 'JOB_ENDED') return
      if (created.outcome.code === 'BAD_REQUEST') {
        // The job has as many buckets as it may have.
        await pause(FULL_MS_MAX)
        continue
      }
      // The bucket exists or not, now or later, so the name is not used again.
      names.giveUp(job.id)
      continue
    }
    await pause(LIVES_MS_MAX)
    if (isOver()) return
    const deleted = await call('deleteBucket', names.current(job.id))
    if (deleted.outcome.kind === 'error') {
      if (deleted.outcome.code === 'JOB_ENDED') return
      names.giveUp(job.id)
    }
    await pause(GONE_MS_MAX)
  }
}
