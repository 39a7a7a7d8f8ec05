/** A version of a large object that is about to be replaced or removed. */
export interface Ending {
  readonly version: number
  readonly chunks: number
}

/** The readers of one version: the end of each lease in monotonic ms, by lease number. */
interface Readers {
  readonly untilMs: Map<number, number>
  /** Freed when the last reader ends its lease; null while the version is current. */
  ending: Ending | null
}

const noVersions = new Map<number, Readers>()

/**
 * Read leases of a slot's large objects. Chunks stay while their version is leased, also after the object was
 * replaced.
 */
export class ReadLeases {
  /** Shared by slots that never had any. */
  #versions = noVersions

  get empty(): boolean {
    return this.#versions.size === 0
  }

  get size(): number {
    let size = 0
    for (const { untilMs } of this.#versions.values()) size += untilMs.size
    return size
  }

  has(version: number, lease: number): boolean {
    return this.#versions.get(version)?.untilMs.has(lease) === true
  }

  /** Grants or renews a lease. */
  hold(version: number, lease: number, untilMs: number): void {
    const readers = this.#versions.get(version)
    if (readers !== undefined) return void readers.untilMs.set(lease, untilMs)
    if (this.#versions === noVersions) this.#versions = new Map()
    this.#versions.set(version, { untilMs: new Map([[lease, untilMs]]), ending: null })
  }

  /** Whether any lease of the version is valid. */
  isHeld(version: number, nowMs: number): boolean {
    for (const untilMs of this.#versions.get(version)?.untilMs.values() ?? [])
      if (untilMs > nowMs) return true
    return false
  }

  /** The version's object is gone: its chunks are freed when the last reader ends its lease. */
  defer(ending: Ending): void {
    const readers = this.#versions.get(ending.version)
    if (readers !== undefined) readers.ending = ending
  }

  /** Ends a lease. Returns what to free if it was the last one, else null. */
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

/** Drops lapsed leases of writers or readers. */
export function dropLapsed(leases: Map<number, number>, nowMs: number): void {
  for (const [lease, untilMs] of leases) if (untilMs <= nowMs) leases.delete(lease)
}
