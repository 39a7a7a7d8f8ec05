import { isError, MayflyError } from '../../protocol/errors.ts'
import { REQUEST_ID_BYTES } from '../../protocol/limits.ts'
import { DEFAULT_BUCKET, DEFAULT_BUCKET_ID } from '../../protocol/model/keys.ts'
import { metadataOperations } from '../../protocol/operations/control-operations.ts'
import { type Deadline, within } from '../routing/deadline.ts'
import type { Router } from '../routing/router.ts'

/** Maps bucket names to ids, which the wire uses. A name is looked up at metadata once. */
export class Buckets {
  readonly #router: Router
  #ids = new Map<string, number>([[DEFAULT_BUCKET, DEFAULT_BUCKET_ID]])

  constructor(router: Router) {
    this.#router = router
  }

  /**
   * Runs `call` with the bucket's id. If the bucket was deleted since the lookup, it is looked up once more:
   * a new bucket may have its name. Throws `BUCKET_NOT_FOUND`.
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

  /** The current id, for a call that cannot be repeated. Throws `BUCKET_NOT_FOUND`. */
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

  /** In order of creation. */
  async names(bounds: Deadline): Promise<string[]> {
    const asked = this.#router.askMetadata(metadataOperations.buckets, { job: '' }, bounds)
    const buckets = await within(bounds, this.#router.runtime.clock, asked)
    this.#ids = new Map(buckets.map(({ id, name }) => [name, id]))
    return buckets.map(({ name }) => name)
  }

  /** The same for all repetitions of one call. */
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
