import { hashKey, slotOf } from '../../../protocol/model/hash.ts'
import type { RunningNode } from '../world/cluster.ts'
import { awaits, holdsChunk, isArriving, isLeaving, ownsSlot, type Spot } from '../world/inspection.ts'

export interface Dying {
  readonly node: RunningNode
  /** The surviving nodes. */
  readonly others: readonly RunningNode[]
  /** Number of slots of each job. */
  readonly jobs: ReadonlyMap<string, number>
  /** Every key that may have been put so far. */
  readonly spots: readonly Spot[]
  /** Whether a move of the slot to the node was ever stored as published; called after the run. */
  readonly wasPublished: (job: string, slot: number) => boolean
}

/** What a death may do to one key. */
export interface Losses {
  /** Everything that its owner knew of it is lost. */
  readonly slot: boolean
  /** Bytes of it are lost, perhaps not all. */
  readonly chunks: boolean
}

/**
 * What a death may destroy, determined from the memory of the nodes at that moment and not from metadata's view: the slots that the node owns; slots that it
 * has released and that nobody serves yet; of slots that another node serves, exactly the entries whose bytes have not arrived there; and slots on their way to
 * it whose move was published.
 */
export function lossesOf(dying: Dying): (spot: Spot) => Losses {
  const { node, others, jobs, spots, wasPublished } = dying
  const fates = new Map(
    [...jobs].map(([job, slots]) => [job, numbers(slots).map((slot) => fateOf(dying, job, slot))]),
  )
  const isGone = (job: string, slot: number): boolean => {
    const fate = fates.get(job)?.[slot]
    return fate === 'gone' || fate === 'left' || (fate === 'arriving' && wasPublished(job, slot))
  }
  const bytes = new Map(spots.map((spot) => [nameOf(spot), bytesOf(spot)]))

  /** The slots with chunks of the key on the dying node, and whether bytes of it were still to be pulled from there. */
  function bytesOf(spot: Spot): { held: number[]; awaited: boolean } {
    const slots = numbers(jobs.get(spot.job) ?? 0)
    const { service } = node
    const held = service === null ? [] : slots.filter((slot) => holdsChunk(service, spot, slot))
    const awaited = slots.some(
      (slot) =>
        fates.get(spot.job)?.[slot] === 'pulled' &&
        others.some((other) => other.service !== null && awaits(other.service, spot, slot)),
    )
    return { held, awaited }
  }

  return (spot) => {
    const known = bytes.get(nameOf(spot))
    const slot = slotOf(hashKey(Buffer.from(spot.key), spot.bucket), jobs.get(spot.job) ?? 1)
    // A target that has the index and does not serve yet may still begin to, without any bytes.
    const isLeft = fates.get(spot.job)?.[slot] === 'left'
    const isTorn = known !== undefined && (known.awaited || known.held.some((at) => isGone(spot.job, at)))
    return { slot: isGone(spot.job, slot), chunks: isLeft || isTorn }
  }
}

/** The role of the dying node for a slot: its owner, the previous owner (with or without a new owner that serves), the next owner, or none. */
type Fate = 'gone' | 'pulled' | 'left' | 'arriving' | 'none'

function fateOf({ node: { service }, others }: Dying, job: string, slot: number): Fate {
  if (service === null) return 'none'
  if (ownsSlot(service, job, slot)) return 'gone'
  const isServed = others.some((other) => other.service !== null && ownsSlot(other.service, job, slot))
  if (isLeaving(service, job, slot)) return isServed ? 'pulled' : 'left'
  return isArriving(service, job, slot) && !isServed ? 'arriving' : 'none'
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number)
}

function nameOf({ job, bucket, key }: Spot): string {
  return `${job}/${bucket}/${key}`
}
