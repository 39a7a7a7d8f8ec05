import { setTimeout as sleep } from 'node:timers/promises'
import type { Range, TierSpace, TierStore } from '../../../storage-node/tiers/tier-store.ts'

/** A tier below RAM whose reads are slow and counted. */
export class SlowTier implements TierStore {
  reads = 0
  readBytes = 0
  /** Of reads that have begun and not ended: now, and at most so far. */
  underWayBytes = 0
  underWayBytesMost = 0
  readonly #readMs: number

  constructor(readMs: number) {
    this.#readMs = readMs
  }

  open(): TierSpace {
    const records = new Map<number, Buffer>()
    let next = 0
    return {
      usedBytes: 0,
      get records() {
        return records.size
      },
      write: async (bytes) => {
        records.set(next, Buffer.from(bytes))
        return next++
      },
      read: async (record, range) => await this.#read(records.get(record) as Buffer, range),
      remove: (record) => void records.delete(record),
      drop: async () => records.clear(),
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #read(record: Buffer, { offset, length }: Range): Promise<Buffer> {
    this.reads++
    this.readBytes += length
    this.underWayBytes += length
    this.underWayBytesMost = Math.max(this.underWayBytesMost, this.underWayBytes)
    await sleep(this.#readMs)
    this.underWayBytes -= length
    return Buffer.from(record.subarray(offset, offset + length))
  }
}
