import type { Job } from '../../../client/job.ts'
import { asMayflyError } from '../../../protocol/errors.ts'
import { sleep } from '../../../protocol/runtime.ts'
import type { Cluster } from '../world/cluster.ts'
import type { SeededRandom } from '../world/random.ts'
import type { RealController } from '../world/real-controller.ts'
import { openSimulated } from './open.ts'

/** A job of a tenant, for the checker. */
export interface Tenancy {
  readonly id: string
  readonly leaseSeconds: number
  /** When its last answered use began, in virtual ms; its registration counts as a use. */
  usedMs: number
  /** The longest time between two uses. */
  unusedMs: number
  /** Its tenant has asked for its end. */
  endAsked: boolean
}

/** Few names, so that jobs learn from earlier runs. */
const NAMES = ['sort', 'video', 'build']
const USE_MS_MAX = 600

/** Registers jobs, uses them, and ends them or abandons them until their lease lapses. Resolves when the last one is ended or abandoned. */
export async function playTenants(
  cluster: Cluster,
  controller: RealController,
  { horizonMs, violate }: { horizonMs: number; violate: (rule: string, what: string) => void },
): Promise<Tenancy[]> {
  const random = cluster.random.fork('tenants')
  const tenancies: Tenancy[] = []
  const tenants = Array.from({ length: 2 + random.below(5) }, (_, number) =>
    playTenant(cluster, controller, { number, random: random.fork(`${number}`), horizonMs, tenancies }),
  )
  for (const result of await Promise.allSettled(tenants))
    if (result.status === 'rejected') violate('a tenant is refused', String(result.reason))
  return tenancies
}

async function playTenant(
  cluster: Cluster,
  controller: RealController,
  of: { number: number; random: SeededRandom; horizonMs: number; tenancies: Tenancy[] },
): Promise<void> {
  const { number, random, horizonMs, tenancies } = of
  const host = cluster.newHost('tenant')
  await sleep(host.clock, random.between(0, horizonMs))
  const leaseSeconds = 2 + random.below(4)
  const request = { name: random.pick(NAMES), hints: hintsOf(random), leaseSeconds }
  const askedMs = cluster.timeline.nowMs
  let id: string
  let ticket: string
  try {
    id = await controller.register(host, request, `tenant-${number}`)
    ticket = await controller.ticketOf(host, id)
  } catch (error) {
    // There may be no room for it, and a job that nobody uses for long has ended.
    const { code } = asMayflyError(error)
    if (['RESERVATION_REFUSED', 'JOB_ENDED', 'JOB_NOT_FOUND'].includes(code)) return
    throw error
  }
  const tenancy: Tenancy = { id, leaseSeconds, usedMs: askedMs, unusedMs: 0, endAsked: false }
  tenancies.push(tenancy)
  const job = openSimulated(host, ticket, cluster.network.of(host).dial)
  for (let uses = random.below(12); uses > 0; uses--) {
    await sleep(host.clock, random.between(0, USE_MS_MAX))
    const beganMs = cluster.timeline.nowMs
    if (!(await use(job, random))) continue
    tenancy.unusedMs = Math.max(tenancy.unusedMs, beganMs - tenancy.usedMs)
    tenancy.usedMs = beganMs
  }
  await job.close()
  if (random.chance(0.3)) return
  tenancy.endAsked = true
  await controller.end(host, id)
}

/** None, or small ones: three unused jobs of a name teach nothing. */
function hintsOf(random: SeededRandom): { capacityBytes?: number; peakBytesPerSecond?: number } {
  if (random.chance(0.4)) return {}
  return {
    ...(random.chance(0.8) && { capacityBytes: random.pick([2_000, 10_000, 40_000]) }),
    ...(random.chance(0.3) && { peakBytesPerSecond: random.pick([1e4, 1e6]) }),
  }
}

/** True if the call was carried out and so counts as a use of the job. */
async function use(job: Job, random: SeededRandom): Promise<boolean> {
  const key = `k${random.below(20)}`
  try {
    if (random.chance(0.6)) await job.put(key, random.bytes(random.below(900)), { deadlineMs: 1_500 })
    else await job.exists(key, { deadlineMs: 1_500 })
    return true
  } catch {
    return false
  }
}
