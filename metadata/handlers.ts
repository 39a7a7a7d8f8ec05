import { MayflyError } from '../protocol/errors.ts'
import type { Placement } from '../protocol/model/placement.ts'
import { metadataOperations } from '../protocol/operations/control-operations.ts'
import { heartbeatOperations, placementOperations } from '../protocol/operations/plane-operations.ts'
import type { Logger } from '../service/process/log.ts'
import { requirePrefix } from '../service/server/granted-keys.ts'
import { Handlers } from '../service/server/handlers.ts'
import { type Peer, requireCluster } from '../service/server/peer.ts'
import { ArrivingRecords } from './decide/record-pages.ts'
import type { Placements } from './placements.ts'

const done = { head: {} }

/** Tier 0, RAM: where a put stores an object. Metadata does not know of demotions. */
const RAM_TIER = 0

/** Maps each operation to its method and checks who may call it. */
export function metadataHandlers(placements: Placements, log: Logger): Handlers {
  const handlers = new Handlers()
    .on(metadataOperations.placement, async (peer, { job, ...question }) => ({
      head: await placements.placement(jobOf(peer, job), question),
    }))
    .on(metadataOperations.locate, (peer, request) => {
      requirePrefix(peer.claims, request.key)
      const { epoch, slot, owner } = placements.locate(jobOf(peer), request)
      return { head: { epoch, slot, node: owner?.id ?? '', address: owner?.address ?? '', tier: RAM_TIER } }
    })
    .on(metadataOperations.bucketCreate, async (peer, call) => ({
      head: { id: await placements.createBucket(writable(peer), call) },
    }))
    .on(metadataOperations.bucketDelete, async (peer, call) => {
      await placements.deleteBucket(writable(peer), call)
      return done
    })
    .on(metadataOperations.buckets, (peer, { job }) => ({ head: placements.buckets(jobOf(peer, job)) }))
    .on(metadataOperations.jobServer, (peer, { job }) => ({
      head: { metadata: placements.serverOf(jobOf(peer, job)) },
    }))
    .on(heartbeatOperations.jobBuckets, (peer, { job }) => {
      requireCluster(peer)
      return { head: placements.livingBuckets(job) }
    })
    .on(heartbeatOperations.heartbeat, (peer, { node, jobs }) => {
      requireCluster(peer)
      return { head: placements.heartbeat(node, jobs) }
    })
  return addControllerHandlers(handlers, placements, log)
}

function addControllerHandlers(handlers: Handlers, placements: Placements, log: Logger): Handlers {
  const arriving = new ArrivingRecords()
  return handlers
    .on(placementOperations.jobCreate, async (peer, { job, slots, ...terms }) => {
      requireCluster(peer)
      const placement = await placements.create(job, slots, terms)
      log.info({ job, ...shown(placement) }, 'a job is placed')
      return { head: placement }
    })
    .on(placementOperations.jobShares, async (peer, { job, ...terms }) => {
      requireCluster(peer)
      const placement = await placements.setTerms(job, terms)
      log.info({ job, ...shown(placement) }, 'a job has new shares')
      return { head: placement }
    })
    .on(placementOperations.jobEnd, async (peer, { job }) => {
      requireCluster(peer)
      await placements.end(job)
      log.info({ job }, 'the placement of a job is removed')
      return done
    })
    .on(placementOperations.nodesDied, async (peer, { nodes }) => {
      requireCluster(peer)
      await placements.nodesDied(nodes)
      return done
    })
    .on(placementOperations.jobMove, async (peer, { job, target }) => {
      requireCluster(peer)
      await placements.move(job, target)
      return done
    })
    .on(placementOperations.jobTake, async (peer, page, { payload }) => {
      requireCluster(peer)
      const record = arriving.add(page, payload)
      if (record !== null) await placements.take(record)
      return done
    })
    .on(placementOperations.jobs, (peer) => {
      requireCluster(peer)
      return { head: placements.jobs().map((job) => ({ job })) }
    })
}

/** The fields of a log line. */
function shown({ epoch, nodes }: Placement): { epoch: number; nodes: string[] } {
  return { epoch, nodes: nodes.map(({ id }) => id) }
}

/** The job that a ticket is for. Cluster tokens are for no job, so their callers name one. */
function jobOf({ claims }: Peer, named = ''): string {
  if (!claims.read && !claims.write) throw new MayflyError('FORBIDDEN', 'The ticket grants no right at all')
  const job = claims.job === '' ? named : claims.job
  if (job === '') throw new MayflyError('BAD_REQUEST', 'job: a request with a cluster token names its job')
  if (claims.job !== '' && named !== '' && named !== claims.job) {
    throw new MayflyError('FORBIDDEN', 'The ticket is for another job')
  }
  return job
}

function writable(peer: Peer): string {
  if (!peer.claims.write) throw new MayflyError('FORBIDDEN', 'The ticket grants no right to write')
  if (peer.claims.prefix.length > 0)
    throw new MayflyError(
      'FORBIDDEN',
      'The ticket grants a part of the keys alone, and a bucket has all of them',
    )
  return jobOf(peer)
}
