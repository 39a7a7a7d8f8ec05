import { isError, MayflyError } from '../../protocol/errors.ts'
import { MANY_IN_FLIGHT } from '../../protocol/limits.ts'
import { ANY_VERSION, dataOperations, GetManyResult } from '../../protocol/operations/data-operations.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import { askOwner, batchesOf, type IndexedKey, indexed } from '../routing/batches.ts'
import type { Deadline } from '../routing/deadline.ts'
import type { KeyAddress } from '../routing/key-address.ts'
import type { Router } from '../routing/router.ts'
import { getObject } from './get.ts'
import { verify } from './integrity.ts'

interface GetMany {
  /** Until when to wait for missing keys, monotonic ms. */
  readonly untilMs: number
  readonly checksums: boolean
  readonly bounds: Deadline
}

/** A missing key; `lost` if its node may have failed. */
interface Missed {
  readonly wanted: IndexedKey
  readonly lost: boolean
}

/**
 * The values of keys in order, one message per node; null for a missing object. While some are missing and
 * there is time, the nodes are asked to report when they exist, and only those are fetched again. Throws
 * `OBJECT_LOST`.
 */
export async function getValues(
  router: Router,
  keys: readonly KeyAddress[],
  get: GetMany,
): Promise<(Buffer | null)[]> {
  const values = new Array<Buffer | null>(keys.length).fill(null)
  const wanted = indexed(keys)
  const fetch = new Fetch(router, get, values)
  let missed = await fetch.all(wanted)
  const { clock } = router.runtime
  for (let leftMs = 0; missed.length > 0; missed = await fetch.all(missed.map(({ wanted }) => wanted))) {
    leftMs = Math.round(get.untilMs - clock.monotonicMs())
    if (leftMs <= 0) break
    await waitFor(
      router,
      missed.map(({ wanted }) => wanted),
      get,
    )
  }
  const lost = missed.find((miss) => miss.lost)
  if (lost !== undefined) {
    throw new MayflyError('OBJECT_LOST', `'${lost.wanted.key}' is not here, and an owner of its slot died`)
  }
  return values
}

/** One round of fetching values into the answer. */
class Fetch {
  readonly #router: Router
  readonly #get: GetMany
  readonly #values: (Buffer | null)[]

  constructor(router: Router, get: GetMany, values: (Buffer | null)[]) {
    this.#router = router
    this.#get = get
    this.#values = values
  }

  /** Returns the missing keys. */
  async all(wanted: readonly IndexedKey[]): Promise<Missed[]> {
    const missed: Missed[] = []
    const batches = batchesOf(this.#router, wanted)
    await runInFlight(batches, MANY_IN_FLIGHT, async (batch) => {
      for (const miss of await this.#batch(batch)) missed.push(miss)
    })
    return missed
  }

  async #batch(batch: readonly IndexedKey[]): Promise<Missed[]> {
    const { bounds, checksums } = this.#get
    const { head, payload } = await askOwner(this.#router, batch, {
      bounds,
      call: (caller, asked) => caller.call(dataOperations.getMany, { ...asked, checksums }, bounds),
      resultsOf: ({ lengths }) => lengths,
      stale: GetManyResult.stale,
    })
    const missed: Missed[] = []
    const stale: IndexedKey[] = []
    const alone: IndexedKey[] = []
    let offset = 0
    for (let at = 0; at < batch.length; at++) {
      const wanted = batch[at] as IndexedKey
      const length = head.lengths[at] as number
      if (length === GetManyResult.absent) missed.push({ wanted, lost: false })
      else if (length === GetManyResult.lost) missed.push({ wanted, lost: true })
      else if (length === GetManyResult.stale) stale.push(wanted)
      else if (length === GetManyResult.alone) alone.push(wanted)
      else {
        const value = payload.subarray(offset, offset + length)
        verify(value, head.checksums[at] ?? null)
        this.#values[wanted.index] = value
        offset += length
      }
    }
    if (offset !== payload.length)
      throw new MayflyError('PROTOCOL_VIOLATION', 'The lengths of values do not add up to their payload')
    await runInFlight(alone, MANY_IN_FLIGHT, async (wanted) => {
      const miss = await this.#alone(wanted)
      if (miss !== null) missed.push(miss)
    })
    return stale.length === 0 ? missed : [...missed, ...(await this.all(stale))]
  }

  /** An object that does not fit the batched answer. */
  async #alone(wanted: IndexedKey): Promise<Missed | null> {
    const { index, ...at } = wanted
    const { bounds, checksums } = this.#get
    try {
      this.#values[index] = await getObject(this.#router, at, {
        consume: false,
        untilMs: 0,
        range: null,
        version: ANY_VERSION,
        checksums,
        bounds,
      })
      return null
    } catch (error) {
      if (isError(error, 'NOT_FOUND')) return { wanted, lost: false }
      throw error
    }
  }
}

/** Resolves when all keys exist, or at the timeout. Keys of one owner share a message. */
async function waitFor(router: Router, wanted: readonly IndexedKey[], get: GetMany): Promise<void> {
  await Promise.all(batchesOf(router, wanted).map((batch) => waitForBatch(router, batch, get)))
}

async function waitForBatch(router: Router, batch: readonly IndexedKey[], get: GetMany): Promise<void> {
  const [first] = batch
  if (first === undefined) return
  const { untilMs, bounds } = get
  await router.retry(bounds, router.slotOf(first.hash), async (caller, placement, owner) => {
    if (!batch.every(({ hash }) => router.isOwner(placement, owner, hash)))
      return await waitFor(router, batch, get)
    const waitMs = Math.max(0, Math.round(untilMs - router.runtime.clock.monotonicMs()))
    const request = {
      epoch: placement.epoch,
      bucket: first.bucket,
      waitMs,
      keys: batch.map(({ key }) => key),
    }
    await caller.call(dataOperations.waitMany, request, bounds)
  })
}
