import { MayflyError } from '../protocol/errors.ts'
import { CHUNK_BYTES } from '../protocol/limits.ts'
import { nodeOperations, peerOperations, SlotOrigin } from '../protocol/operations/control-operations.ts'
import { dataOperations } from '../protocol/operations/data-operations.ts'
import type { RequestOf } from '../protocol/operations/operation.ts'
import type { Clock } from '../protocol/runtime.ts'
import type { Landing } from '../protocol/wire/frame.ts'
import { listedPrefix } from '../service/server/granted-keys.ts'
import { Handlers, type Received, type Reply } from '../service/server/handlers.ts'
import { type Peer, requireCluster } from '../service/server/peer.ts'
import { awaitSettled, receiveIndex } from './handoff/target.ts'
import type { NodeJob } from './job/job.ts'
import type { StorageNode } from './node.ts'
import { pageBytes } from './operations/listing.ts'
import { wholeChunk } from './persist/chunk-reader.ts'
import { keyMutation, keysMutation } from './sessions/sessions.ts'

type Own = RequestOf<typeof nodeOperations.own>
type Put = RequestOf<typeof dataOperations.put>
type OwnedRange = Own['owned'][number]

const done = { head: {} }
const nothing = Buffer.alloc(0)
const noKey = {}

interface HandlersOptions {
  readonly clock: Clock
  /** Requests a lease from the metadata server at that address. Never rejects. */
  readonly askLease: (metadata: string) => Promise<void>
}

/** Maps each operation to a method of the node and the right that it requires. */
export function nodeHandlers(node: StorageNode, { clock, askLease }: HandlersOptions): Handlers {
  const handlers = new Handlers()
  addMutations(handlers, node)
  addReads(handlers, node)
  addMany(handlers, node)
  addLargePuts(handlers, node)
  addControl(handlers, node, askLease)
  addHandoff(handlers, node, clock)
  return handlers
}

function addMutations(handlers: Handlers, node: StorageNode): void {
  const { persistence: keeping, persistenceBatch: keepingMany, capacityWait: room, sessions } = node
  handlers
    .on(
      dataOperations.put,
      (peer, request, payload) =>
        storing(payload, () => {
          const job = node.jobOf(peer.claims, 'write', request)
          return sessions.run(keyMutation(dataOperations.put, { peer, job, request }), request, () => {
            const bytes = received(job, payload)
            // As `room.find` does, but without making anything for it: this is the hot path.
            const patiently = () => ({
              arrived: { request, payload: bytes, waiter: { peer, id: payload.id } },
              attempt: (of: { request: Put; payload: Buffer }) => keeping.put(job, of.request, of.payload),
            })
            try {
              const outcome = keeping.put(job, request, bytes)
              return outcome instanceof Promise ? room.afterPending(job, outcome, patiently()) : outcome
            } catch (error) {
              return room.afterFailure(job, error, patiently())
            }
          })
        }),
      { ...landIn(node), isShort: true },
    )
    .on(dataOperations.delete, (peer, request) => {
      const job = node.jobOf(peer.claims, 'write', request)
      return sessions.run(keyMutation(dataOperations.delete, { peer, job, request }), request, () =>
        keeping.delete(job, request),
      )
    })
    .on(dataOperations.deleteMany, (peer, request) => {
      const job = node.jobOf(peer.claims, 'write', request)
      return sessions.run(keysMutation(dataOperations.deleteMany, { peer, job, request }), request, () =>
        keepingMany.delete(job, request),
      )
    })
    .on(dataOperations.append, (peer, request, payload) => {
      const job = node.jobOf(peer.claims, 'write', request)
      const arrived = { request, payload: received(job, payload), waiter: { peer, id: payload.id } }
      return sessions.run(keyMutation(dataOperations.append, { peer, job, request }), request, () =>
        room.run(job, arrived, (of) => keeping.append(job, of.request, of.payload)),
      )
    })
    .on(dataOperations.settle, (peer, { lanes }) => {
      sessions.settle(peer, lanes)
      return done
    })
}

function addReads(handlers: Handlers, node: StorageNode): void {
  const { persistence: keeping, objects, sessions } = node
  handlers
    .on(
      dataOperations.get,
      (peer, request, { id }) => {
        const { claims } = peer
        const asker = { peer, id }
        if (!request.consume) return objects.get(node.jobOf(claims, 'read', request), request, asker)
        node.jobOf(claims, 'read', request)
        const job = node.jobOf(claims, 'write', request)
        return sessions.run(keyMutation(dataOperations.get, { peer, job, request }), request, () =>
          keeping.consume(job, request, asker),
        )
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
}

function addMany(handlers: Handlers, node: StorageNode): void {
  const {
    persistenceBatch: keepingMany,
    batch: many,
    batchLowerReads: manyBelow,
    capacityWait: room,
    sessions,
  } = node
  handlers
    .on(dataOperations.getMany, (peer, request) =>
      manyBelow.get(node.jobOf(peer.claims, 'read', request), request, peer),
    )
    .on(dataOperations.waitMany, async (peer, request, { id }) => {
      await many.wait(node.jobOf(peer.claims, 'read', request), request, { peer, id })
      return done
    })
    .on(
      dataOperations.putMany,
      (peer, request, received) =>
        storing(received, () => {
          const job = node.jobOf(peer.claims, 'write', request)
          const { payload, id } = received
          return sessions.run(keysMutation(dataOperations.putMany, { peer, job, request }), request, () =>
            room.runMany(job, { request, payload, waiter: { peer, id } }, (of) =>
              keepingMany.put(job, of.request, of.payload),
            ),
          )
        }),
      landIn(node),
    )
}

function addLargePuts(handlers: Handlers, node: StorageNode): void {
  const { persistence: keeping, largeObjects, capacityWait: room, sessions } = node
  handlers
    .on(dataOperations.putBegin, ({ claims }, request) => ({
      head: largeObjects.begin(node.jobOf(claims, 'write', request), request),
    }))
    .on(dataOperations.putRenew, ({ claims }, request) => {
      largeObjects.renew(node.jobOf(claims, 'write', request), request)
      return done
    })
    .on(dataOperations.putCommit, (peer, request, { id }) => {
      const job = node.jobOf(peer.claims, 'write', request)
      return sessions.run(keyMutation(dataOperations.putCommit, { peer, job, request }), request, () =>
        room.run(job, { request, payload: nothing, waiter: { peer, id } }, (of) =>
          keeping.commit(job, of.request),
        ),
      )
    })
    .on(dataOperations.putAbort, ({ claims }, request) => {
      largeObjects.abort(node.jobOf(claims, 'write', request), request)
      return done
    })
    .on(
      dataOperations.chunkPut,
      (peer, request, payload) =>
        storing(payload, () => {
          const job = node.jobOf(peer.claims, 'write', request)
          const arrived = { request, payload: received(job, payload), waiter: { peer, id: payload.id } }
          return room.run(job, arrived, (of) => {
            largeObjects.putChunk(job, of.request, of.payload)
            return done
          })
        }),
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

function addControl(handlers: Handlers, node: StorageNode, askLease: HandlersOptions['askLease']): void {
  handlers
    .on(nodeOperations.own, async (peer, request) => {
      requireCluster(peer)
      const job = await takeSlots(node, request)
      await Promise.all([
        job.bucketsRemoved,
        node.persistence.removeDeletedBuckets(job),
        // Clients are shown an owner that can serve: they need not wait for its next heartbeat.
        job.hasLease ? null : askLease(request.metadata),
      ])
      return done
    })
    .on(nodeOperations.jobDrop, async (peer, request) => {
      requireCluster(peer)
      await node.dropJob(request.job)
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
        if (payload === null) throw new MayflyError('NOT_FOUND', 'This version of the object is not kept')
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
async function takeSlots(node: StorageNode, request: Own): Promise<NodeJob> {
  const withLoss = request.owned.filter((entry) => startsWithLoss(node, request.job, entry))
  const { job, taken } = node.own({
    ...request,
    owned: request.owned.filter((entry) => !withLoss.includes(entry)),
  })
  for (const slot of taken) void node.puller.pullSlot(job, slot)
  if (withLoss.length === 0) return job
  const epoch = Math.max(...withLoss.map((entry) => entry.epoch))
  const slots = new Set(
    withLoss.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at)),
  )
  const returning = await node.recovery.find(job, { epoch, slots })
  if (node.jobs.get(job.id) !== job) throw new MayflyError('JOB_ENDED', `Job ${job.id} has ended`)
  const late = node.own({ ...request, owned: withLoss })
  node.recovery.restore(job, new Set(late.taken), returning)
  return job
}

/** Whether a range of slots starts here after an owner died. */
function startsWithLoss(
  node: StorageNode,
  job: string,
  { first, count, epoch, lost, origin }: OwnedRange,
): boolean {
  if (!lost || origin !== SlotOrigin.fresh) return false
  const known = node.jobs.get(job)?.owned.epochs
  if (known === undefined) return true
  for (let index = first; index < first + count; index++) if (known.get(index) < epoch) return true
  return false
}

function addHandoff(handlers: Handlers, node: StorageNode, clock: Clock): void {
  handlers
    .on(nodeOperations.release, async (peer, request) => {
      requireCluster(peer)
      const job = node.requireJob(request.job)
      node.checkOwnershipMessage(request)
      await node.source.release(job, request)
      return done
    })
    .on(nodeOperations.settled, async (peer, request) => {
      requireCluster(peer)
      return { head: { settled: await awaitSettled(node.requireJob(request.job), request, clock) } }
    })
    .on(nodeOperations.drop, (peer, request) => {
      requireCluster(peer)
      node.drop(request)
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

/** The received payload, valid until the handler returns unless it was received into the arena. */
function received(job: NodeJob, { payload }: Received): Buffer {
  job.movedBytes += payload.length
  return payload
}

/** Receives a large payload directly into the job's memory, if there is room. */
function landIn(node: StorageNode): { land: (peer: Peer, payloadBytes: number) => Landing | null } {
  return { land: ({ claims }, payloadBytes) => node.jobs.get(claims.job)?.land(payloadBytes) ?? null }
}

/** Frees memory that a payload was received into and that nothing stored. */
function storing<Head>(
  { landing }: Received,
  run: () => Reply<Head> | Promise<Reply<Head>>,
): Reply<Head> | Promise<Reply<Head>> {
  try {
    return run()
  } finally {
    landing?.abandon()
  }
}
