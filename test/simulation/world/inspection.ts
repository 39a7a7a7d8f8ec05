import { hashKey, slotOf } from '../../../protocol/model/hash.ts'
import type { Manifest } from '../../../protocol/model/manifest.ts'
import type { NodeJob } from '../../../storage-node/job/job.ts'
import { capacityOf } from '../../../storage-node/memory/payload.ts'
import { isOnLowerTier, Kind } from '../../../storage-node/memory/record.ts'
import type { KeyHash } from '../../../storage-node/memory/table-hash.ts'
import type { NodeService } from '../../../storage-node/server.ts'
import {
  type Chunk,
  chargeOfChunk,
  chunkCharge,
  DemotedChunk,
  RemoteChunk,
} from '../../../storage-node/slot/chunks.ts'
import { keyHash, keyString } from '../../../storage-node/slot/key-string.ts'
import type { Slot } from '../../../storage-node/slot/slot.ts'
import {
  isDemoted,
  isRemote,
  manifestOf,
  type StoredObject,
} from '../../../storage-node/slot/stored-object.ts'
import { RAM } from '../../../storage-node/tiers/job-tiers.ts'

/** Reads the actual state in the memory of a storage node, from which the checker judges. Only this file of the simulation looks inside a plane. */

/** Whether the node alone decides about the slot. */
export function ownsSlot(service: NodeService, job: string, slot: number): boolean {
  return jobOf(service, job)?.owned.owns(slot) === true
}

/** Whether the node may still answer for a slot that it owns: its lease has not lapsed. */
export function mayServe(service: NodeService, job: string): boolean {
  const space = jobOf(service, job)
  if (space === undefined) return false
  const owned = ownedSlots(space)[0]
  if (owned === undefined) return false
  try {
    space.ownedSlot(owned)
    return true
  } catch {
    return false
  }
}

/** Whether the node has given the slot away and others may still need its bytes. */
export function isLeaving(service: NodeService, job: string, slot: number): boolean {
  return jobOf(service, job)?.released.has(slot) === true
}

/** Whether the index of the slot is arriving, or has arrived, at the node, which does not serve it yet. */
export function isArriving(service: NodeService, job: string, slot: number): boolean {
  return jobOf(service, job)?.arriving.has(slot) === true
}

/** Whether anything of the job is on the node, or moving to or from it. */
export function isPresent(service: NodeService, job: string): boolean {
  return jobOf(service, job)?.hasSlots === true
}

/** Slots of the job here whose handoff is not over. */
export function unsettledSlots(service: NodeService, job: string): number[] {
  const space = jobOf(service, job)
  if (space === undefined) return []
  const owned = space.slots.flatMap((slot, index) => (slot === undefined || slot.isComplete ? [] : [index]))
  return [...owned, ...space.released.keys(), ...space.arriving.keys()]
}

/** Slots of the job that the node owns and whose bytes it pulls. */
export function pulledSlots(service: NodeService, job: string): number[] {
  const slots = jobOf(service, job)?.slots ?? []
  return slots.flatMap((slot, index) => (slot === undefined || slot.isComplete ? [] : [index]))
}

/** A key of a job, as nodes name it. */
export interface Spot {
  readonly job: string
  readonly bucket: number
  readonly key: string
}

/** Whether the node holds chunks of any version of a large object of the key in one of its slots. */
export function holdsChunk(service: NodeService, at: Spot, slot: number): boolean {
  const space = jobOf(service, at.job)
  if (space === undefined) return false
  const copies = [space.slots[slot], space.released.get(slot)?.slot, space.arriving.get(slot)?.slot]
  return copies.some((copy) => copy !== undefined && chunksIn(copy, at).length > 0)
}

/** Whether the node owns the slot and waits for bytes of the key: of the object, or of a chunk. */
export function awaits(service: NodeService, at: Spot, slot: number): boolean {
  const owned = jobOf(service, at.job)?.slots[slot]
  if (owned === undefined) return false
  const object = owned.find(keyHash(at.bucket, keyString(Buffer.from(at.key))))
  if (object !== undefined && isRemote(object)) return true
  return chunksIn(owned, at).some((chunk) => chunk instanceof RemoteChunk)
}

/** The kind of the key's record, if the node owns the key; an object that was appended to has spare space. */
export function kindOf(service: NodeService, at: Spot): Kind | undefined {
  const { of, slot } = findKey(service, at)
  return slot?.find(of)?.kind
}

/** The chunk lengths of the key's object, if the node owns the key and the object is large. */
export function manifestAt(service: NodeService, at: Spot): Manifest | undefined {
  const { of, slot } = findKey(service, at)
  const object = slot?.find(of)
  const memory = jobOf(service, at.job)?.memory
  return object?.kind === Kind.manifest && memory !== undefined ? manifestOf(memory, object) : undefined
}

/** Whether the key's object is in the persistent store, as its owner knows it. */
export function isPersisted(service: NodeService, at: Spot): boolean {
  const { of, slot } = findKey(service, at)
  return slot?.persisted.hasObject(of) === true
}

/** The hash of the key, with its slot if the node owns that. */
function findKey(service: NodeService, at: Spot): { of: KeyHash; slot: Slot | undefined } {
  const of = keyHash(at.bucket, keyString(Buffer.from(at.key)))
  const space = jobOf(service, at.job)
  return { of, slot: space?.slots[slotOf(hashKey(of.key, of.bucket), space.owned.count)] }
}

/** Bytes charged to the job, and the number of its objects. */
export function usageOf(service: NodeService, job: string): { usedBytes: number; objects: number } {
  const space = jobOf(service, job)
  return { usedBytes: space?.usedBytes ?? 0, objects: space?.objects ?? 0 }
}

/** Memory of the job on the node that none of its slots accounts for. */
export function strayBytes(service: NodeService, job: string): number {
  const space = jobOf(service, job)
  if (space === undefined) return 0
  const { memory } = space
  const slots = slotsOf(space)
  const objects = slots.flatMap(objectsIn)
  const chunks = slots.flatMap((slot) =>
    [...slot.chunks.groups.values()].flatMap((group) => [...group.chunks.values()]),
  )
  const parts = [...objects, ...chunks].flatMap((holder) => ('parts' in holder ? holder.parts : []))
  const records = objects.reduce((sum, object) => sum + object.recordBytes, 0)
  return memory.log.liveBytes - records + (memory.takenBytes - memory.log.pagesBytes - capacityOf(parts))
}

/** Charge of the key's chunks if they were in RAM instead of below it. */
export function chunkBytesBelow(service: NodeService, at: Spot): number {
  const space = jobOf(service, at.job)
  const owned = space?.slots.flatMap((slot) => (slot === undefined ? [] : chunksIn(slot, at))) ?? []
  return owned
    .filter((chunk) => chunk instanceof DemotedChunk)
    .reduce((sum, chunk) => sum + chunkCharge(chunk.bytes) - chargeOfChunk(chunk), 0)
}

/** Bytes and records below RAM that no slot accounts for. */
export function strayBelow(service: NodeService, job: string): { bytes: number; records: number } {
  const space = jobOf(service, job)
  if (space === undefined) return { bytes: 0, records: 0 }
  const below = slotsOf(space).flatMap((slot) => [
    ...objectsIn(slot).filter(({ kind }) => isOnLowerTier(kind)),
    ...[...slot.chunks.groups.values()].flatMap(({ chunks }) =>
      [...chunks.values()].filter(({ tier }) => tier !== RAM),
    ),
  ])
  const records = below.filter((each) => each instanceof DemotedChunk || ('kind' in each && isDemoted(each)))
  const booked = [...space.tiers.used()].reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    bytes: booked - below.reduce((sum, { bytes }) => sum + bytes, 0),
    records: space.tiers.records - records.length,
  }
}

function ownedSlots({ owned }: NodeJob): number[] {
  return Array.from({ length: owned.count }, (_, slot) => slot).filter((slot) => owned.owns(slot))
}

function slotsOf(space: NodeJob): Slot[] {
  const moving = [...space.released.values(), ...space.arriving.values()].map(({ slot }) => slot)
  return [...moving, ...space.slots.filter((slot) => slot !== undefined)]
}

/** Bytes charged on the node for all jobs, and the number of jobs that it knows. */
export function totalOf(service: NodeService): { usedBytes: number; takenBytes: number; jobs: number } {
  const { ram, lower, arena, jobs } = service.node
  const usedBytes = lower.reduce((sum, { budget }) => sum + budget.usedBytes, ram.usedBytes)
  return { usedBytes, takenBytes: arena.takenBytes, jobs: jobs.size }
}

/** Descriptions of what a node holds for calls that are under way or may be repeated; empty at rest. */
export function heldForCalls(service: NodeService): string[] {
  const { underWay, jobs } = service.node
  const held = underWay.bytes === 0 ? [] : [`${underWay.bytes} bytes under way`]
  if (underWay.waiting.size > 0) held.push(`${underWay.waiting.size} jobs that wait for room`)
  for (const [id, job] of jobs) {
    if (job.underWay.bytes !== 0) held.push(`${job.underWay.bytes} bytes under way of ${id}`)
    for (const slot of job.everySlot()) {
      if ((slot.waits?.size ?? 0) > 0) held.push(`parked gets of ${id}`)
      if (slot.openPuts.size > 0) held.push(`${slot.openPuts.size} large puts of ${id} that were begun`)
      if (!slot.readLeases.empty) held.push(`read leases of ${id}`)
      if (slot.persisting.size > 0) held.push(`changes of the persistent store of ${id}`)
    }
  }
  return held
}

/** Number of sessions on the node. */
export function sessionsOf(service: NodeService): number {
  return service.node.sessions.count
}

/** RAM that the node has reserved for each job that it has a part of. */
export function reservedRam(service: NodeService): Map<string, number> {
  const present = [...service.node.jobs.values()].filter((job) => job.hasSlots)
  return new Map(present.map(({ id, reservedBytes }) => [id, reservedBytes]))
}

/** Whether nothing on the node is reserved or in use, on any tier, for any job. */
export function isFree(service: NodeService): boolean {
  const { ram, lower } = service.node
  const all = { reservedBytes: 0, bytesMax: Number.POSITIVE_INFINITY, usedBytes: 0 }
  return [ram, ...lower.map(({ budget }) => budget)].every(
    (budget) => !Number.isFinite(budget.capacityBytes) || budget.admits(all, budget.capacityBytes),
  )
}

/** A description of what the node holds of the job, for a failure's report. */
export function describeNode(service: NodeService, job: string): string {
  const space = jobOf(service, job)
  if (space === undefined) return 'does not know the job'
  const owned = space.slots.flatMap((slot, index) => (slot === undefined ? [] : [describeSlot(slot, index)]))
  const leaving = [...space.released].map(([index, { slot }]) => `leaving ${describeSlot(slot, index)}`)
  const arriving = [...space.arriving].map(([index, { slot }]) => `arriving ${describeSlot(slot, index)}`)
  return `${space.usedBytes} bytes; ${[...owned, ...leaving, ...arriving].join('; ')}`
}

function describeSlot(slot: Slot, index: number): string {
  const keys = objectsIn(slot).map(({ bucket, key, version }) => `${bucket}/${key.toString()}@${version}`)
  const chunks = [...slot.chunks.groups].map(([name, { chunks }]) => `${name}×${chunks.size}`)
  const marks = `${slot.mayHaveLost ? ' lost' : ''}${slot.isComplete ? '' : ' unsettled'}`
  return `slot ${index} e${slot.epoch}${marks} [${keys.join(' ')}] chunks [${chunks.join(' ')}]`
}

function objectsIn(slot: Slot): StoredObject[] {
  const objects: StoredObject[] = []
  slot.objects.scan(0, Number.MAX_SAFE_INTEGER, (object) => objects.push(object))
  return objects
}

function chunksIn(slot: Slot, { bucket, key }: Spot): Chunk[] {
  const bytes = Buffer.from(key)
  return [...slot.chunks.groups.values()].flatMap((group) =>
    group.bucket === bucket && bytes.equals(group.key) ? [...group.chunks.values()] : [],
  )
}

function jobOf(service: NodeService, job: string): NodeJob | undefined {
  return service.node.jobs.get(job)
}
