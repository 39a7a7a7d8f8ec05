import { nodeOperations, peerOperations } from '../protocol/control-operations.ts'
import { dataOperations } from '../protocol/data-operations.ts'
import type { Clock } from '../protocol/runtime.ts'
import { Handlers, type Received, requireCluster } from '../service/responder.ts'
import { awaitSettled, receiveIndex } from './handoff-target.ts'
import type { JobSpace } from './job-space.ts'
import { listPage } from './listing.ts'
import type { StorageNode } from './node.ts'

const done = { head: {} }

/** Which method of the node answers which operation, and what right it takes. */
export function nodeHandlers(node: StorageNode, clock: Clock): Handlers {
  const handlers = new Handlers()
  addMutations(handlers, node)
  addReads(handlers, node, clock)
  addLargePuts(handlers, node)
  addControl(handlers, node)
  addHandoff(handlers, node, clock)
  return handlers
}

function addMutations(handlers: Handlers, node: StorageNode): void {
  const { objects, sessions } = node
  handlers
    .on(dataOperations.put, ({ claims, session }, request, payload) => {
      const job = node.jobOf(claims, 'write')
      return sessions.run({ session, job }, request, () => ({
        head: objects.put(job, request, received(job, payload)),
      }))
    })
    .on(dataOperations.delete, ({ claims, session }, request) => {
      const job = node.jobOf(claims, 'write')
      return sessions.run({ session, job }, request, () => ({ head: objects.delete(job, request) }))
    })
    .on(dataOperations.deleteMany, ({ claims, session }, request) => {
      const job = node.jobOf(claims, 'write')
      return sessions.run({ session, job }, request, () => ({ head: objects.deleteMany(job, request) }))
    })
    .on(dataOperations.append, ({ claims, session }, request, payload) => {
      const job = node.jobOf(claims, 'write')
      const bytes = received(job, payload)
      return sessions.run({ session, job }, request, () => objects.append(job, request, bytes))
    })
    .on(dataOperations.settle, ({ claims, session }, { settled }) => {
      sessions.settle({ session, job: claims.job }, settled)
      return done
    })
}

function addReads(handlers: Handlers, node: StorageNode, clock: Clock): void {
  const { objects, sessions } = node
  handlers
    .on(dataOperations.get, (peer, request) => {
      const { claims, session } = peer
      if (!request.consume) return objects.get(node.jobOf(claims, 'read'), request, peer)
      node.jobOf(claims, 'read')
      const job = node.jobOf(claims, 'write')
      return sessions.run({ session, job }, request, () => objects.get(job, request, peer))
    })
    .on(dataOperations.stat, ({ claims }, request) => ({
      head: objects.stat(node.jobOf(claims, 'read'), request),
    }))
    .on(dataOperations.list, async ({ claims }, request) => ({
      head: await listPage(node.jobOf(claims, 'read'), request, clock),
    }))
}

function addLargePuts(handlers: Handlers, node: StorageNode): void {
  const { largeObjects, sessions } = node
  handlers
    .on(dataOperations.putBegin, ({ claims }, request) => ({
      head: largeObjects.begin(node.jobOf(claims, 'write'), request),
    }))
    .on(dataOperations.putRenew, ({ claims }, request) => {
      largeObjects.renew(node.jobOf(claims, 'write'), request)
      return done
    })
    .on(dataOperations.putCommit, ({ claims, session }, request) => {
      const job = node.jobOf(claims, 'write')
      return sessions.run({ session, job }, request, () => ({ head: largeObjects.commit(job, request) }))
    })
    .on(dataOperations.putAbort, ({ claims }, request) => {
      largeObjects.abort(node.jobOf(claims, 'write'), request)
      return done
    })
    .on(dataOperations.chunkPut, ({ claims }, request, payload) => {
      const job = node.jobOf(claims, 'write')
      largeObjects.putChunk(job, request, received(job, payload))
      return done
    })
    .on(dataOperations.chunkGet, ({ claims }, request) => {
      const chunk = largeObjects.getChunk(node.jobOf(claims, 'read'), request)
      if (chunk instanceof Promise) return chunk.then((payload) => ({ head: {}, payload }))
      return { head: {}, payload: chunk }
    })
}

function addControl(handlers: Handlers, node: StorageNode): void {
  handlers
    .on(nodeOperations.own, (peer, request) => {
      requireCluster(peer)
      const { job, taken } = node.own(request)
      for (const slot of taken) void node.puller.settle(job, slot)
      return done
    })
    .on(nodeOperations.jobDrop, (peer, request) => {
      requireCluster(peer)
      node.dropJob(request.job)
      return done
    })
    .on(peerOperations.versionsAlive, (peer, request) => {
      requireCluster(peer)
      return { head: { alive: node.versionsAlive(request) } }
    })
}

function addHandoff(handlers: Handlers, node: StorageNode, clock: Clock): void {
  handlers
    .on(nodeOperations.release, async (peer, request) => {
      requireCluster(peer)
      const job = node.space(request.job)
      node.checkGeneration(job.metadata, request.generation)
      await node.source.release(job, request)
      return done
    })
    .on(nodeOperations.settled, async (peer, request) => {
      requireCluster(peer)
      return { head: { settled: await awaitSettled(node.space(request.job), request, clock) } }
    })
    .on(nodeOperations.drop, (peer, request) => {
      requireCluster(peer)
      node.drop(request)
      return done
    })
    .on(peerOperations.slotIndex, (peer, request) => {
      requireCluster(peer)
      receiveIndex(node.space(request.job), request, clock)
      return done
    })
    .on(peerOperations.pull, (peer, request) => {
      requireCluster(peer)
      return node.source.pull(node.space(request.job), request)
    })
}

/** Memory that may be kept: a payload that came in a buffer of its own, or a copy of what is part of a larger one. */
function received(job: JobSpace, { payload, owned }: Received): Buffer {
  job.movedBytes += payload.length
  if (owned) return payload
  const copy = Buffer.allocUnsafeSlow(payload.length)
  payload.copy(copy)
  return copy
}
