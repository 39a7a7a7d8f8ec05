/** A version of a large object that is about to be replaced or removed. */
export interface Ending {
  readonly version: number
  readonly chunks: number
}

/** The readers of one version, by the number of their lease, with its end in monotonic ms. */
interface Readers {
  readonly untilMs: Map<number, number>
  /** What is to be freed once nobody reads it any more; null where the version is the object still. */
  ending: Ending | null
}

const noVersions = new Map<number, Readers>()

/** Who reads which version of a slot's large objects: their chunks stay for so long, also where the object was replaced. */
export class ReadLeases {
  /** Shared by all slots that never had any. */
  #versions = noVersions

  get empty(): boolean {
    return this.#versions.size === 0
  }

  /** Gives a lease, or renews it. */
  hold(version: number, lease: number, untilMs: number): void {
    const readers = this.#versions.get(version)
    if (readers !== undefined) return void readers.untilMs.set(lease, untilMs)
    if (this.#versions === noVersions) this.#versions = new Map()
    this.#versions.set(version, { untilMs: new Map([[lease, untilMs]]), ending: null })
  }

  /** Whether a reader of the version still has its lease. */
  isHeld(version: number, nowMs: number): boolean {
    for (const untilMs of this.#versions.get(version)?.untilMs.values() ?? [])
      if (untilMs > nowMs) return true
    return false
  }

  /** The version's object is gone, and its chunks are to be freed when the last reader ends its lease. */
  defer(ending: Ending): void {
    const readers = this.#versions.get(ending.version)
    if (readers !== undefined) readers.ending = ending
  }

  /** A reader is done. What is to be freed, if it was the last one; else null. */
  end(version: number, lease: number): Ending | null {
    const readers = this.#versions.get(version)
    if (readers === undefined) return null
    readers.untilMs.delete(lease)
    if (readers.untilMs.size > 0) return null
    this.#versions.delete(version)
    return readers.ending
  }

  /** As `dropLapsed` of each. */
  dropLapsed(nowMs: number): void {
    for (const [version, { untilMs }] of this.#versions) {
      dropLapsed(untilMs, nowMs)
      if (untilMs.size === 0) this.#versions.delete(version)
    }
  }

  *[Symbol.iterator](): Generator<{ version: number; lease: number; untilMs: number }> {
    for (const [version, readers] of this.#versions)
      for (const [lease, untilMs] of readers.untilMs) yield { version, lease, untilMs }
  }
}

/** Forgets leases that have lapsed, of writers or readers, by what they are known by. */
export function dropLapsed(leases: Map<number, number>, nowMs: number): void {
  for (const [lease, untilMs] of leases) if (untilMs <= nowMs) leases.delete(lease)
}
