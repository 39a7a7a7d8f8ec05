import {
  heartbeatOperations,
  metadataOperations,
  placementOperations,
} from '../protocol/control-operations.ts'
import { MayflyError } from '../protocol/errors.ts'
import type { Claims } from '../protocol/token.ts'
import { Handlers, requireCluster } from '../service/responder.ts'
import type { Placements } from './placements.ts'

const done = { head: {} }

/** Objects of a key are in RAM, number 0 of the tiers: the only one that nodes have. */
const RAM_TIER = 0

/** Which method answers which operation, and who may ask. */
export function metadataHandlers(placements: Placements): Handlers {
  const handlers = new Handlers()
    .on(metadataOperations.placement, async (claims, { job, ...question }) => ({
      head: await placements.placement(jobOf(claims, job), question),
    }))
    .on(metadataOperations.locate, (claims, request) => {
      const { epoch, slot, owner } = placements.locate(jobOf(claims), request)
      return { head: { epoch, slot, node: owner?.id ?? '', address: owner?.address ?? '', tier: RAM_TIER } }
    })
    .on(metadataOperations.bucketCreate, async (claims, { name }) => ({
      head: { id: await placements.createBucket(writable(claims), name) },
    }))
    .on(metadataOperations.bucketDelete, async (claims, { name }) => {
      await placements.deleteBucket(writable(claims), name)
      return done
    })
    .on(metadataOperations.buckets, (claims) => ({ head: placements.buckets(jobOf(claims)) }))
    .on(heartbeatOperations.heartbeat, (claims, { node }) => {
      requireCluster(claims)
      return { head: { jobs: placements.jobsOn(node) } }
    })
  return addControllerHandlers(handlers, placements)
}

function addControllerHandlers(handlers: Handlers, placements: Placements): Handlers {
  return handlers
    .on(placementOperations.jobCreate, async (claims, { job, slots, shares }) => {
      requireCluster(claims)
      return { head: await placements.create(job, slots, shares) }
    })
    .on(placementOperations.jobShares, async (claims, { job, shares }) => {
      requireCluster(claims)
      return { head: await placements.setShares(job, shares) }
    })
    .on(placementOperations.jobEnd, async (claims, { job }) => {
      requireCluster(claims)
      await placements.end(job)
      return done
    })
    .on(placementOperations.nodesDied, async (claims, { nodes }) => {
      requireCluster(claims)
      await placements.nodesDied(nodes)
      return done
    })
    .on(placementOperations.jobs, (claims) => {
      requireCluster(claims)
      return { head: placements.jobs().map((job) => ({ job })) }
    })
}

/** The job of a ticket; the planes, whose token is for none, name it. */
function jobOf(claims: Claims, named = ''): string {
  const job = claims.job === '' ? named : claims.job
  if (job === '') throw new MayflyError('BAD_REQUEST', 'job: a request with a cluster token names its job')
  if (claims.job !== '' && named !== '' && named !== claims.job) {
    throw new MayflyError('FORBIDDEN', 'The ticket is for another job')
  }
  return job
}

function writable(claims: Claims): string {
  if (!claims.write) throw new MayflyError('FORBIDDEN', 'The ticket grants no right to write')
  return jobOf(claims)
}
