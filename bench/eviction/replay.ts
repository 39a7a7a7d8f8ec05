import type { Tier } from '../../protocol/operations/data-operations.ts'
import { readCostMs } from '../../storage-node/tiering/gdsf.ts'
import type { Policy, Resident } from './policies.ts'
import type { Trace } from './trace.ts'

/** The part of all reads of a trace that RAM answered. */
export interface Hits {
  readonly bytesRatio: number
  /** The part of the time that all reads would take from the tier below. */
  readonly timeRatio: number
}

/** RAM of `bytes` above one tier. Every object that is put or read enters RAM, and the policy chooses what is demoted. */
export function replay(trace: Trace, ram: { bytes: number; below: Tier }, policy: Policy): Hits {
  const memory = new Memory(ram.bytes, policy)
  const all = { bytes: 0, ms: 0 }
  const hit = { bytes: 0, ms: 0 }
  for (const [now, { object, read }] of trace.events.entries()) {
    const bytes = trace.bytes[object] ?? 0
    const costMs = readCostMs(ram.below, bytes)
    const found = memory.find(object)
    if (read > 0) {
      all.bytes += bytes
      all.ms += costMs
    }
    if (read > 0 && found !== undefined) {
      hit.bytes += bytes
      hit.ms += costMs
    }
    const resident = found ?? { object, bytes, costMs, reads: 0, touched: 0, priority: 0 }
    resident.reads = read
    resident.touched = now
    resident.priority = policy.priorityOf(resident, trace.readsOf[object] ?? 0)
    if (found === undefined) memory.add(resident)
  }
  return { bytesRatio: hit.bytes / all.bytes, timeRatio: hit.ms / all.ms }
}

class Memory {
  readonly #bytesMax: number
  readonly #policy: Policy
  readonly #residents: Resident[] = []
  readonly #places = new Map<number, number>()
  #bytes = 0

  constructor(bytesMax: number, policy: Policy) {
    this.#bytesMax = bytesMax
    this.#policy = policy
  }

  find(object: number): Resident | undefined {
    const place = this.#places.get(object)
    return place === undefined ? undefined : this.#residents[place]
  }

  /** The new object is a candidate like the others: if it has the lowest priority, it is demoted itself. */
  add(resident: Resident): void {
    if (resident.bytes > this.#bytesMax) return
    this.#places.set(resident.object, this.#residents.length)
    this.#residents.push(resident)
    this.#bytes += resident.bytes
    while (this.#bytes > this.#bytesMax)
      for (const victim of this.#policy.choose(this.#residents, this.#bytes - this.#bytesMax))
        this.#remove(victim)
  }

  #remove({ object, bytes }: Resident): void {
    const place = this.#places.get(object)
    const last = this.#residents.pop()
    if (place === undefined || last === undefined) return
    this.#places.delete(object)
    this.#bytes -= bytes
    if (last.object === object) return
    this.#residents[place] = last
    this.#places.set(last.object, place)
  }
}
