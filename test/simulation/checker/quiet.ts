import { chunksOf, type Manifest, manifestOf } from '../../../protocol/model/manifest.ts'
import { bytesApart, chargeOf, Kind } from '../../../storage-node/memory/record.ts'
import { BLOCK_BYTES } from '../../../storage-node/memory/slab.ts'
import { chunkCharge } from '../../../storage-node/slot/chunks.ts'
import { encodeManifest } from '../../../storage-node/slot/stored-object.ts'
import type { Call, Outcome } from '../traffic/history.ts'
import { type Home, nameOf, readValue, type ValueName } from '../traffic/values.ts'
import type { RunningNode } from '../world/cluster.ts'
import {
  chunkBytesBelow,
  describeNode,
  isPersisted,
  kindOf,
  manifestAt,
  ownsSlot,
  type Spot,
  strayBelow,
  strayBytes,
  totalOf,
  usageOf,
} from '../world/inspection.ts'

/** Every slot of a running job has exactly one owner. Returns the violations. */
export function checkOwners(nodes: readonly RunningNode[], job: { id: string; slots: number }): string[] {
  const wrong: string[] = []
  for (let slot = 0; slot < job.slots; slot++) {
    const owners = nodes.filter(({ service }) => service !== null && ownsSlot(service, job.id, slot))
    if (owners.length === 1) continue
    wrong.push(
      `slot ${slot} of ${job.id} is owned by ${owners.map(({ id }) => id).join(' and ') || 'nobody'}`,
    )
  }
  return wrong
}

/**
 * The nodes' accounts equal what the last reading of every key found, to the byte. `readings` are the gets of one job, each made while nothing else happened.
 */
export function checkLeaks(
  nodes: readonly RunningNode[],
  job: string,
  { readings, spotOf }: { readings: readonly Call[]; spotOf: (home: Home) => Spot },
): string[] {
  const services = nodes.flatMap(({ service }) => (service === null ? [] : [service]))
  const usages = services.map((service) => usageOf(service, job))
  const usedBytes = usages.reduce((sum, usage) => sum + usage.usedBytes, 0)
  const objects = usages.reduce((sum, usage) => sum + usage.objects, 0)
  // An object whose bytes are neither on a node nor in the persistent store was removed when it was read.
  const isGone = ({ home }: Call): boolean =>
    readings.some(({ home: other, outcome }) => isSame(home, other) && isLost(outcome))
  const found = readings.filter(
    (call) =>
      call.outcome.kind === 'stat' &&
      call.outcome.stat !== null &&
      !(call.outcome.stat.persist && isGone(call)),
  )
  const [least, most] = accountOf(found, readings, {
    kind: (home) =>
      services.map((service) => kindOf(service, spotOf(home))).find((kind) => kind !== undefined),
    isPersisted: (home) => services.some((service) => isPersisted(service, spotOf(home))),
    manifest: (home) =>
      services.map((service) => manifestAt(service, spotOf(home))).find((manifest) => manifest !== undefined),
    chunkBytesBelow: (home) =>
      services.reduce((sum, service) => sum + chunkBytesBelow(service, spotOf(home)), 0),
  })
  for (const service of services) {
    const { bytes, records } = strayBelow(service, job)
    if (bytes !== 0 || records !== 0)
      return [`${job} has ${bytes} bytes and ${records} records below RAM that no slot accounts for`]
  }
  const stray = services.map((service) => strayBytes(service, job)).filter((bytes) => bytes !== 0)
  if (stray.length > 0) return [`${job} has ${stray.join(' and ')} bytes of memory that no slot accounts for`]
  if (usedBytes >= least && usedBytes <= most && objects === found.length) return []
  const nodesNow = nodes.flatMap(({ id, service }) =>
    service === null ? [] : [`  ${id}: ${describeNode(service, job)}`],
  )
  return [
    `${job} uses ${usedBytes} bytes in ${objects} objects; ${found.length} living objects account for ` +
      `${least === most ? least : `${least} to ${most}`}\n${nodesNow.join('\n')}`,
  ]
}

/** Nothing is left of jobs that have ended. */
export function checkEmpty(nodes: readonly RunningNode[]): string[] {
  return nodes.flatMap(({ id, service }) => {
    if (service === null) return []
    const { usedBytes, takenBytes, jobs } = totalOf(service)
    return usedBytes === 0 && takenBytes === 0 && jobs === 0
      ? []
      : [`${id} holds ${usedBytes} bytes, ${takenBytes} of memory, of ${jobs} jobs that have ended`]
  })
}

/**
 * The persistent store has exactly what the last reading says, and nothing else of the job. `store` has its persisted objects by name. `mayBePersisted` are the
 * values of puts whose outcome is unknown, and `mayBeGone` says whether another operation of unknown outcome may have removed an object: the store may carry
 * out both at any time, even after their node has died.
 */
export function checkPersisted(
  store: ReadonlyMap<string, { readonly content: Buffer }>,
  of: {
    readonly job: string
    readonly readings: readonly Call[]
    readonly mayBePersisted: ReadonlySet<ValueName>
    readonly mayBeGone: (home: Home) => boolean
  },
): string[] {
  return of.readings.flatMap(({ home, outcome }) => {
    if (home.job !== of.job || (outcome.kind !== 'stat' && !isMissing(outcome))) return []
    const name = nameOf(home)
    const stored = store.get(name)
    const read = stored === undefined ? null : readValue(home, stored.content)
    const found = read === null ? null : 'wrong' in read ? read.wrong : read.name
    const isSaid = outcome.kind === 'stat' && outcome.stat?.persist === true
    if (found !== null && of.mayBePersisted.has(found)) return []
    if (!isSaid) return found === null ? [] : [`${name} is persisted as ${found}, and its job has none`]
    if (found === null) return of.mayBeGone(home) ? [] : [`${name} is not persisted, though its job says so`]
    const value = of.readings.find((other) => other.outcome.kind === 'value' && isSame(other.home, home))
    return value?.outcome.kind === 'value' && value.outcome.value !== found
      ? [`${name} is persisted as ${found}, and its job has ${value.outcome.value}`]
      : []
  })
}

function isLost(outcome: Outcome): boolean {
  return outcome.kind === 'error' && outcome.code === 'OBJECT_LOST'
}

/** A deleted bucket has no persisted objects either. */
function isMissing(outcome: Outcome): boolean {
  return outcome.kind === 'error' && outcome.code === 'BUCKET_NOT_FOUND'
}

function isSame(one: Home, other: Home): boolean {
  return one.job === other.job && one.bucket === other.bucket && one.key === other.key
}

/** The charge of the objects. An object that has lost chunks may have any part of them left, and one that was appended to has spare space. */
function accountOf(
  found: readonly Call[],
  readings: readonly Call[],
  where: {
    kind: (home: Home) => Kind | undefined
    isPersisted: (home: Home) => boolean
    manifest: (home: Home) => Manifest | undefined
    chunkBytesBelow: (home: Home) => number
  },
): [number, number] {
  let least = 0
  let most = 0
  for (const { home, outcome } of found) {
    if (outcome.kind !== 'stat' || outcome.stat === null) continue
    const { bytes, expires } = outcome.stat
    const isWhole = readings.some(
      ({ home: { bucket, key }, outcome }) =>
        key === home.key && bucket === home.bucket && outcome.kind === 'value',
    )
    const object = { version: 1, base: 1, expiresAtMs: expires ? 1 : 0, checksum: null }
    const sizes = { keyBytes: Buffer.byteLength(home.key), metadataBytes: 0 }
    const kind = where.kind(home)
    if (kind === Kind.demoted) {
      // An object that was appended to before it was demoted retains the version of its put.
      least += chargeOf({ ...object, kind, bytes }, { ...sizes, apartBytes: 0 })
      most += chargeOf({ ...object, kind, bytes, base: 0 }, { ...sizes, apartBytes: 0 })
    } else if (kind === Kind.appended) {
      const apartBytes = Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
      least += chargeOf({ ...object, kind: Kind.appended, bytes }, { ...sizes, apartBytes })
      most += chargeOf({ ...object, kind: Kind.appended, bytes }, { ...sizes, apartBytes: 2 * apartBytes })
    } else if (kind === Kind.manifest) {
      const manifest = where.manifest(home) ?? manifestOf(bytes)
      const entry = { ...object, kind: Kind.manifest, bytes: encodeManifest(manifest).length }
      const chunks = [...chunksOf(manifest)].reduce((sum, chunk) => sum + chunkCharge(chunk.bytes), 0)
      const charge = chargeOf(entry, { ...sizes, apartBytes: 0 })
      const inRam = chunks - where.chunkBytesBelow(home)
      // A chunk of the persistent store is restored only if there is room.
      least += charge + (isWhole && !where.isPersisted(home) ? inRam : 0)
      most += charge + inRam
    } else {
      const charge = chargeOf(
        { ...object, kind: Kind.value, bytes },
        { ...sizes, apartBytes: bytesApart(bytes) },
      )
      least += charge
      most += charge
    }
  }
  return [least, most]
}
