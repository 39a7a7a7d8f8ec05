import { nodeOperations, peerOperations } from '../protocol/control-operations.ts'
import { dataOperations } from '../protocol/data-operations.ts'
import type { Clock } from '../protocol/runtime.ts'
import { Handlers, type Payload, requireCluster } from '../service/responder.ts'
import type { JobSpace } from './job-space.ts'
import { listPage } from './listing.ts'
import type { StorageNode } from './node.ts'

const done = { head: {} }

/** Which method of the node answers which operation, and what right it takes. */
export function nodeHandlers(node: StorageNode, clock: Clock): Handlers {
  const { objects, largeObjects } = node
  const handlers = new Handlers()
    .on(dataOperations.put, (claims, request, payload) => {
      const job = node.jobOf(claims, 'write')
      return { head: objects.put(job, request, received(job, payload)) }
    })
    .on(dataOperations.get, (claims, request) => {
      if (request.consume) node.jobOf(claims, 'write')
      return objects.get(node.jobOf(claims, 'read'), request)
    })
    .on(dataOperations.stat, (claims, request) => ({
      head: objects.stat(node.jobOf(claims, 'read'), request),
    }))
    .on(dataOperations.delete, (claims, request) => ({
      head: objects.delete(node.jobOf(claims, 'write'), request),
    }))
    .on(dataOperations.list, async (claims, request) => ({
      head: await listPage(node.jobOf(claims, 'read'), request, clock),
    }))
    .on(dataOperations.putBegin, (claims, request) => ({
      head: largeObjects.begin(node.jobOf(claims, 'write'), request),
    }))
    .on(dataOperations.putRenew, (claims, request) => {
      largeObjects.renew(node.jobOf(claims, 'write'), request)
      return done
    })
    .on(dataOperations.putCommit, (claims, request) => ({
      head: largeObjects.commit(node.jobOf(claims, 'write'), request),
    }))
    .on(dataOperations.putAbort, (claims, request) => {
      largeObjects.abort(node.jobOf(claims, 'write'), request)
      return done
    })
    .on(dataOperations.chunkPut, (claims, request, payload) => {
      const job = node.jobOf(claims, 'write')
      largeObjects.putChunk(job, request, received(job, payload))
      return done
    })
    .on(dataOperations.chunkGet, (claims, request) => ({
      head: {},
      payload: largeObjects.getChunk(node.jobOf(claims, 'read'), request),
    }))
  return addControlHandlers(handlers, node)
}

function addControlHandlers(handlers: Handlers, node: StorageNode): Handlers {
  return handlers
    .on(nodeOperations.own, (claims, request) => {
      requireCluster(claims)
      node.own(request)
      return done
    })
    .on(nodeOperations.jobDrop, (claims, request) => {
      requireCluster(claims)
      node.dropJob(request.job)
      return done
    })
    .on(peerOperations.versionsAlive, (claims, request) => {
      requireCluster(claims)
      return { head: { alive: node.versionsAlive(request) } }
    })
}

/** Memory that may be kept: a payload that came in a buffer of its own, or a copy of what is part of a larger one. */
function received(job: JobSpace, { bytes, owned }: Payload): Buffer {
  job.movedBytes += bytes.length
  if (owned) return bytes
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}
