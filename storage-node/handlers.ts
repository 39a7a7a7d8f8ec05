import { MayflyError } from '../protocol/errors.ts'
import { CHUNK_BYTES } from '../protocol/limits.ts'
import { metadataOperations } from '../protocol/operations/control-operations.ts'
import { dataOperations } from '../protocol/operations/data-operations.ts'
import type { Operation, RequestOf } from '../protocol/operations/operation.ts'
import { nodeOperations, peerOperations, SlotOrigin } from '../protocol/operations/plane-operations.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Landing } from '../protocol/wire/frame.ts'
import type { Logger } from '../service/process/log.ts'
import { listedPrefix } from '../service/server/granted-keys.ts'
import { Handlers, type Received } from '../service/server/handlers.ts'
import { type Peer, requireCluster, type Waiter } from '../service/server/peer.ts'
import { requestOf } from '../service/tracing/call-contexts.ts'
import type { Asked } from './access.ts'
import type { MutationCall, Outcome, Stage } from './admission/capacity-wait.ts'
import { awaitSettled, receiveIndex } from './handoff/target.ts'
import type { NodeJob } from './job/job.ts'
import type { PinnedReply } from './memory/pinned-reply.ts'
import type { StorageNode } from './node.ts'
import { pageBytes } from './operations/listing.ts'
import { wholeChunk } from './persist/chunk-reader.ts'
import { type Mutation, type MutationRequest, manyKeys, oneKey, type Sequenced } from './sessions/sessions.ts'

type Own = RequestOf<typeof nodeOperations.own>
type ChunkPut = RequestOf<typeof dataOperations.chunkPut>
type OwnedRange = Own['owned'][number]
type Consume = MutationRequest<RequestOf<typeof dataOperations.get>> & { readonly waiter: Waiter }

/** A node as each group of operations sees it. */
type MutationNode = Pick<
  StorageNode,
  'jobOf' | 'landing' | 'sessions' | 'capacityWait' | 'persistence' | 'persistenceBatch'
>
type ReadNode = Pick<
  StorageNode,
  'jobOf' | 'sessions' | 'objects' | 'batch' | 'batchLowerReads' | 'listings' | 'persistence'
>
type LargePutNode = Pick<StorageNode, 'jobOf' | 'landing' | 'capacityWait' | 'largeObjects'>
type OwnerNode = Pick<StorageNode, 'jobs' | 'ownership' | 'recovery' | 'puller'>
type ControlNode = OwnerNode &
  Pick<
    StorageNode,
    'requireJob' | 'dropJob' | 'versionsAlive' | 'largeObjects' | 'persistence' | 'persistedChunks' | 'votes'
  >
type HandoffNode = Pick<StorageNode, 'requireJob' | 'ownership' | 'source'>

const done = { head: {} }
const noKey = {}

interface HandlersOptions {
  readonly clock: Clock
  readonly log: Logger
  /** Requests a lease from the metadata server at that address. Never rejects. */
  readonly askLease: (metadata: string) => Promise<void>
}

/** Maps each operation to a method of the node and the right that it requires. */
export function nodeHandlers(node: StorageNode, options: HandlersOptions): Handlers {
  const handlers = new Handlers()
  addMutations(handlers, node)
  addReads(handlers, node)
  addLargePuts(handlers, node)
  addControl(handlers, node, options)
  addHandoff(handlers, node, options)
  return handlers
}

function addMutations(handlers: Handlers, node: MutationNode): void {
  const { persistence, persistenceBatch, capacityWait, sessions } = node
  const { put, append } = dataOperations
  handlers
    .on(
      put,
      mutation(node, {
        operation: put,
        ...oneKey,
        apply: capacityWait.admit(({ job, request, payload }) => persistence.put(job, request, payload)),
      }),
      { ...landIn(node), isShort: true },
    )
    .on(
      append,
      mutation(node, {
        operation: append,
        ...oneKey,
        apply: capacityWait.admit(({ job, request, payload }) => persistence.append(job, request, payload)),
      }),
    )
    .on(
      dataOperations.delete,
      mutation(node, {
        operation: dataOperations.delete,
        ...oneKey,
        apply: ({ job, request }) => persistence.delete(job, request),
      }),
    )
    .on(
      dataOperations.putMany,
      mutation(node, {
        operation: dataOperations.putMany,
        ...manyKeys,
        apply: capacityWait.admitBatch(({ job, request, payload }) =>
          persistenceBatch.put(job, request, payload),
        ),
      }),
      landIn(node),
    )
    .on(
      dataOperations.deleteMany,
      mutation(node, {
        operation: dataOperations.deleteMany,
        ...manyKeys,
        apply: ({ job, request }) => persistenceBatch.delete(job, request),
      }),
    )
    .on(
      dataOperations.putCommit,
      mutation(node, {
        operation: dataOperations.putCommit,
        ...oneKey,
        apply: capacityWait.admit(({ job, request }) => persistence.commit(job, request)),
      }),
    )
    .on(dataOperations.settle, (peer, { lanes }) => {
      sessions.settle(peer, lanes)
      return done
    })
}

/** A mutation before its right to write is checked. */
interface AskedMutation<Request, Head> extends Omit<Mutation<MutationCall<Request>, Head>, 'execute'> {
  readonly operation: Operation<Request, Head>
  /** Admission, if it takes room, then persistence, then the object. */
  readonly apply: Stage<Request, PinnedReply<Head>>
}

/**
 * The handler of a mutation. Its stages in order: the right to write; the session, which answers a
 * repetition; then those of `apply`.
 */
function mutation<Request extends Asked & Sequenced, Head>(
  node: Pick<MutationNode, 'jobOf' | 'sessions'>,
  { apply, ...kind }: AskedMutation<Request, Head>,
) {
  const { sessions } = node
  const execute = (call: MutationCall<Request>): Outcome<PinnedReply<Head>> => {
    call.job.movedBytes += call.payload.length
    return apply(call)
  }
  const once = { ...kind, execute }
  return (peer: Peer, request: Request, message: Received): Outcome<PinnedReply<Head>> => {
    try {
      const job = node.jobOf(peer.claims, 'write', request)
      return sessions.run(once, { peer, job, request, payload: message.payload, id: message.id })
    } finally {
      abandonLanding(message)
    }
  }
}

function addReads(handlers: Handlers, node: ReadNode): void {
  const { batch, batchLowerReads, persistence, objects, sessions } = node
  const consume = {
    operation: dataOperations.get,
    ...oneKey,
    execute: ({ job, request, waiter }: Consume) => persistence.consume(job, request, waiter),
  }
  handlers
    .on(
      dataOperations.get,
      (peer, request, { id }) => {
        const { claims } = peer
        const waiter = { peer, id }
        if (!request.consume) return objects.get(node.jobOf(claims, 'read', request), request, waiter)
        node.jobOf(claims, 'read', request)
        const job = node.jobOf(claims, 'write', request)
        return sessions.run(consume, { peer, job, request, waiter })
      },
      { isShort: true },
    )
    .on(dataOperations.stat, ({ claims }, request) => ({
      head: objects.stat(node.jobOf(claims, 'read', request), request),
    }))
    .on(dataOperations.list, (peer, request) => {
      const job = node.jobOf(peer.claims, 'read', noKey)
      const granted = { ...request, prefix: listedPrefix(peer.claims, request.prefix) }
      return job.underWay.answer(peer, pageBytes(request), async () => ({
        head: await node.listings.page(job, peer.sessionName, granted),
      }))
    })
    .on(dataOperations.getMany, (peer, request) =>
      batchLowerReads.get(node.jobOf(peer.claims, 'read', request), request, peer),
    )
    .on(dataOperations.statMany, ({ claims }, request) =>
      batch.stat(node.jobOf(claims, 'read', request), request),
    )
    .on(dataOperations.waitMany, async (peer, request, { id }) => {
      await batch.wait(node.jobOf(peer.claims, 'read', request), request, { peer, id })
      return done
    })
}

function addLargePuts(handlers: Handlers, node: LargePutNode): void {
  const { largeObjects, capacityWait } = node
  const putChunk = capacityWait.admit(({ job, request, payload }: MutationCall<ChunkPut>) => {
    largeObjects.putChunk(job, request, payload)
    return done
  })
  handlers
    .on(dataOperations.putBegin, ({ claims }, request) => ({
      head: largeObjects.begin(node.jobOf(claims, 'write', request), request),
    }))
    .on(dataOperations.putRenew, ({ claims }, request) => {
      largeObjects.renew(node.jobOf(claims, 'write', request), request)
      return done
    })
    .on(dataOperations.putAbort, ({ claims }, request) => {
      largeObjects.abort(node.jobOf(claims, 'write', request), request)
      return done
    })
    .on(
      dataOperations.chunkPut,
      (peer, request, message) => {
        try {
          const job = node.jobOf(peer.claims, 'write', request)
          const { payload, id } = message
          job.movedBytes += payload.length
          return putChunk({ peer, job, request, payload, id })
        } finally {
          abandonLanding(message)
        }
      },
      { ...landIn(node), isShort: true },
    )
    .on(dataOperations.chunkGet, (peer, request) => {
      return largeObjects.getChunk(node.jobOf(peer.claims, 'read', request), request, {
        peer,
        mustStore: false,
      })
    })
    .on(dataOperations.readRenew, ({ claims }, request) => {
      largeObjects.renewRead(node.jobOf(claims, 'read', request), request)
      return done
    })
    .on(dataOperations.readEnd, ({ claims }, request) => {
      largeObjects.endRead(node.jobOf(claims, 'read', request), request)
      return done
    })
}

function addControl(handlers: Handlers, node: ControlNode, { askLease, log }: HandlersOptions): void {
  /** Every move of slots repeats the share. */
  const logged = new WeakMap<NodeJob, object>()
  handlers
    .on(nodeOperations.own, async (peer, request, { context }) => {
      requireCluster(peer)
      const job = await takeSlots(node, request, log)
      const { ramBytes, ssdBytes, s3Bytes, bytesPerSecond } = request
      const share = { ramBytes, ssdBytes, s3Bytes, bytesPerSecond }
      if (JSON.stringify(logged.get(job)) !== JSON.stringify(share)) {
        logged.set(job, share)
        log.info({ ...requestOf(context), job: job.id, ...share }, 'the share of a job is set')
      }
      await Promise.all([
        job.bucketsRemoved,
        node.persistence.removeDeletedBuckets(job),
        // Clients are shown an owner that can serve: they need not wait for its next heartbeat.
        job.hasLease ? null : askLease(request.metadata),
      ])
      return done
    })
    .on(nodeOperations.vote, (peer, request) => {
      requireCluster(peer)
      return { head: { generation: node.votes.cast(request) } }
    })
    .on(metadataOperations.jobServer, (peer) => ({
      head: { metadata: node.requireJob(peer.claims.job).metadata },
    }))
    .on(nodeOperations.jobDrop, async (peer, request, { context }) => {
      requireCluster(peer)
      await node.dropJob(request.job)
      log.info({ ...requestOf(context), job: request.job }, 'the bytes of a job that has ended are freed')
      return done
    })
    .on(peerOperations.chunk, (peer, request) => {
      requireCluster(peer)
      return node.largeObjects.getChunk(node.requireJob(request.job), wholeChunk(request), {
        peer,
        mustStore: true,
      })
    })
    .on(peerOperations.keptChunk, async (peer, request) => {
      requireCluster(peer)
      const arrived = peer.expects(CHUNK_BYTES)
      try {
        const payload = await node.persistedChunks.read(node.requireJob(request.job), request)
        if (payload === null)
          throw new MayflyError('NOT_FOUND', 'This version of the object is not persisted')
        return { head: {}, payload }
      } finally {
        arrived()
      }
    })
    .on(peerOperations.versionsAlive, (peer, request) => {
      requireCluster(peer)
      return { head: { alive: node.versionsAlive(request) } }
    })
}

/** Slots whose owner died are acquired after their persistent objects are known; all others at once. */
async function takeSlots(node: OwnerNode, request: Own, log: Logger): Promise<NodeJob> {
  const withLoss = request.owned.filter((entry) => startsWithLoss(node, request.job, entry))
  const { job, taken, withdrawn } = node.ownership.own(request, (entry) => withLoss.includes(entry))
  if (withdrawn > 0)
    log.warn({ job: job.id, slots: withdrawn }, 'slots were withdrawn: this node had been declared dead')
  for (const slot of taken) void node.puller.pullSlot(job, slot)
  if (withLoss.length === 0) return job
  const epoch = Math.max(...withLoss.map((entry) => entry.epoch))
  const slots = new Set(
    withLoss.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at)),
  )
  const returning = await node.recovery.find(job, { epoch, slots })
  if (node.jobs.get(job.id) !== job) throw new MayflyError('JOB_ENDED', `Job ${job.id} has ended`)
  const late = node.ownership.own(request)
  node.recovery.restore(job, new Set(late.taken), returning)
  return job
}

/** Whether a range of slots starts here after an owner died. */
function startsWithLoss(
  { jobs }: Pick<OwnerNode, 'jobs'>,
  job: string,
  { first, count, epoch, lost, origin }: OwnedRange,
): boolean {
  if (!lost || origin !== SlotOrigin.fresh) return false
  const known = jobs.get(job)?.owned.epochs
  if (known === undefined) return true
  for (let index = first; index < first + count; index++) if (known.get(index) < epoch) return true
  return false
}

function addHandoff(handlers: Handlers, node: HandoffNode, { clock, log }: HandlersOptions): void {
  handlers
    .on(nodeOperations.release, async (peer, request, { context }) => {
      requireCluster(peer)
      const job = node.requireJob(request.job)
      node.ownership.check(request)
      await node.source.release(job, request)
      const moved = { job: job.id, slots: request.slots.length, to: request.target.id }
      log.info({ ...requestOf(context), ...moved }, 'slots of a job are handed over')
      return done
    })
    .on(nodeOperations.settled, async (peer, request) => {
      requireCluster(peer)
      return { head: { settled: await awaitSettled(node.requireJob(request.job), request, clock) } }
    })
    .on(nodeOperations.drop, (peer, request) => {
      requireCluster(peer)
      node.ownership.drop(request)
      return done
    })
    .on(peerOperations.slotIndex, (peer, request) => {
      requireCluster(peer)
      receiveIndex(node.requireJob(request.job), request, clock)
      return done
    })
    .on(peerOperations.pull, (peer, request) => {
      requireCluster(peer)
      return node.source.pull(node.requireJob(request.job), request)
    })
}

/** Receives a large payload directly into the job's memory, if there is room. */
function landIn(node: Pick<StorageNode, 'landing'>): {
  land: (peer: Peer, payloadBytes: number) => Landing | null
} {
  return { land: ({ claims }, payloadBytes) => node.landing(claims, payloadBytes) }
}

/** Frees memory that a payload was received into and that nothing stored. */
function abandonLanding({ landing }: Received): void {
  landing?.abandon()
}
