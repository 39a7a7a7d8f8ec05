import { isError, MayflyError } from '../../protocol/errors.ts'
import { REQUEST_ID_BYTES } from '../../protocol/limits.ts'
import { DEFAULT_BUCKET, DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import { type Deadline, within } from '../routing/deadline.ts'
import type { Router } from '../routing/router.ts'

/** Names of buckets as ids, which is how they travel. Metadata is asked about a name once. */
export class Buckets {
  readonly #router: Router
  #ids = new Map<string, number>([[DEFAULT_BUCKET, DEFAULT_BUCKET_ID]])

  constructor(router: Router) {
    this.#router = router
  }

  /**
   * Runs `call` with the bucket's id. If the bucket was deleted since the name was looked up, it is looked up again,
   * once: a new one may have its name. Throws `BUCKET_NOT_FOUND`.
   */
  with<Result>(name: string, bounds: Deadline, call: (id: number) => Promise<Result>): Promise<Result> {
    return name === DEFAULT_BUCKET ? call(DEFAULT_BUCKET_ID) : this.#withNamed(name, bounds, call)
  }

  async #withNamed<Result>(
    name: string,
    bounds: Deadline,
    call: (id: number) => Promise<Result>,
  ): Promise<Result> {
    const known = this.#ids.get(name)
    if (known === undefined) return await call(await this.#find(name, bounds))
    try {
      return await call(known)
    } catch (error) {
      if (!isError(error, 'BUCKET_NOT_FOUND')) throw error
      return await call(await this.#find(name, bounds))
    }
  }

  /** The bucket's id as it is now, for a call that cannot be run again. Throws `BUCKET_NOT_FOUND`. */
  async idOf(name: string, bounds: Deadline): Promise<number> {
    return name === DEFAULT_BUCKET ? DEFAULT_BUCKET_ID : await this.#find(name, bounds)
  }

  async create(name: string, bounds: Deadline): Promise<void> {
    const call = { name, request: this.#newRequest() }
    const { id } = await this.#router.askMetadata(metadataOperations.bucketCreate, call, bounds)
    this.#ids.set(name, id)
  }

  async delete(name: string, bounds: Deadline): Promise<void> {
    if (name === DEFAULT_BUCKET) throw new MayflyError('BAD_REQUEST', `bucket: '${name}' cannot be deleted`)
    const call = { name, request: this.#newRequest() }
    await this.#router.askMetadata(metadataOperations.bucketDelete, call, bounds)
    this.#ids.delete(name)
  }

  /** In the order of their creation. */
  async names(bounds: Deadline): Promise<string[]> {
    const asked = this.#router.askMetadata(metadataOperations.buckets, { job: '' }, bounds)
    const buckets = await within(bounds, this.#router.runtime.clock, asked)
    this.#ids = new Map(buckets.map(({ id, name }) => [name, id]))
    return buckets.map(({ name }) => name)
  }

  /** Over the repetitions of one call it stays the same. */
  #newRequest(): Uint8Array {
    return this.#router.runtime.random.bytes(REQUEST_ID_BYTES)
  }

  async #find(name: string, bounds: Deadline): Promise<number> {
    await this.names(bounds)
    const id = this.#ids.get(name)
    if (id === undefined) throw new MayflyError('BUCKET_NOT_FOUND', `The job has no bucket '${name}'`)
    return id
  }
}
