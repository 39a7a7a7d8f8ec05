import { sleep } from '../../../protocol/runtime.ts'
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

/** Creates and deletes one bucket of a job under the same name repeatedly, until `hasExpired`. Never rejects. */
export async function cycleBucket(
  cluster: Cluster,
  job: PlacedJob,
  of: { names: TransientNames; history: History; random: SeededRandom; isOver: () => boolean },
): Promise<void> {
  const { names, history, random, isOver } = of
  const host = cluster.newHost('buckets')
  const client = openSimulated(host, job.ticket, cluster.network.of(host).dial)
  const pause = (ms: number): Promise<void> => sleep(host.clock, random.between(0, ms))
  const call = async (kind: 'createBucket' | 'deleteBucket'): Promise<Call> => {
    const home = { job: job.id, bucket: names.current(job.id), key: '' }
    const action = { kind }
    const { timeline } = cluster
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
  while (!isOver()) {
    const created = await call('createBucket')
    if (created.outcome.kind === 'error') {
      // The bucket exists or not, now or later, so the name is not used again.
      if (created.outcome.code === 'JOB_ENDED') return
      names.giveUp(job.id)
      continue
    }
    await pause(LIVES_MS_MAX)
    if (isOver()) return
    const deleted = await call('deleteBucket')
    if (deleted.outcome.kind === 'error') {
      if (deleted.outcome.code === 'JOB_ENDED') return
      names.giveUp(job.id)
    }
    await pause(GONE_MS_MAX)
  }
}
