import { randomBytes } from 'node:crypto'
import type { Job } from '../../client/job.ts'
import { wasReplaced } from '../../client/objects/get.ts'
import { isError } from '../../protocol/errors.ts'
import { sleep, systemRuntime } from '../../protocol/runtime.ts'
import type { Checksum, ChecksumAlgorithm } from '../http/digests.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import { CLAIM_LOOK_MS, CLAIM_MS_MAX, COMPLETED_SECONDS, UPLOAD_SECONDS_MAX } from '../limits.ts'
import { UPLOADS_BUCKET } from '../listing/bucket-names.ts'
import type { Attributes } from '../objects/object-record.ts'

/**
 * A multipart upload. It is an object of its job, and so are its parts: any gateway can continue it, and it is removed with the job, or after
 * `UPLOAD_SECONDS_MAX`.
 */
export interface UploadRecord {
  readonly key: string
  readonly initiatedMs: number
  readonly attributes: Attributes
  readonly algorithm: ChecksumAlgorithm | null
  readonly checksumType: 'COMPOSITE' | 'FULL_OBJECT'
  readonly state: UploadState
}

/** `claimed`: a completion is about to make the object visible. `done`: the answer is stored for repetitions. */
export type UploadState =
  | { readonly is: 'open' }
  | { readonly is: 'claimed'; readonly claimedMs: number }
  | { readonly is: 'done'; readonly etag: string; readonly checksum: Checksum | null }
  | { readonly is: 'aborted' }

export interface Upload extends UploadRecord {
  readonly bucket: string
  readonly id: string
  /** Of the record. */
  readonly version: number
}

/** The uploads of one bucket, for one request. */
export class UploadStore {
  readonly #job: Job
  readonly #bucket: string
  readonly #signal: AbortSignal

  constructor({ job, bucket, signal }: Exchange) {
    this.#job = job
    this.#bucket = bucket
    this.#signal = signal
  }

  async create(record: UploadRecord): Promise<string> {
    const id = randomBytes(18).toString('base64url')
    const put = () => this.#put(id, record, { ifAbsent: true })
    await put().catch(async (error: unknown) => {
      if (!isError(error, 'BUCKET_NOT_FOUND')) throw error
      await this.#job.createBucket(UPLOADS_BUCKET, { signal: this.#signal }).catch(ignore('BUCKET_EXISTS'))
      await put()
    })
    return id
  }

  /** An upload that is open or `done`. Waits while another request completes it. Throws `NoSuchUpload`. */
  async get(id: string, key: string): Promise<Upload> {
    for (;;) {
      const upload = await this.find(id)
      if (upload === null || upload.key !== key || upload.state.is === 'aborted')
        throw new S3Error('NoSuchUpload')
      if (upload.state.is !== 'claimed' || Date.now() - upload.state.claimedMs > CLAIM_MS_MAX) return upload
      await sleep(systemRuntime.clock, CLAIM_LOOK_MS, this.#signal)
      this.#signal.throwIfAborted()
    }
  }

  /** As `get`, of one that is not done either. */
  async getOpen(id: string, key: string): Promise<Upload> {
    const upload = await this.get(id, key)
    if (upload.state.is === 'done') throw new S3Error('NoSuchUpload')
    return upload
  }

  async find(id: string): Promise<Upload | null> {
    if (!/^[\w-]{24}$/.test(id)) return null
    try {
      const found = await this.#job.getWithMetadata(this.#recordKey(id), this.#options)
      return {
        ...(JSON.parse(found.value.toString()) as UploadRecord),
        bucket: this.#bucket,
        id,
        version: found.version,
      }
    } catch (error) {
      if (isError(error, 'NOT_FOUND', 'BUCKET_NOT_FOUND')) return null
      throw error
    }
  }

  /** Changes the state, unless another request has done so: then it resolves with null, else with the new record. */
  async change(upload: Upload, state: UploadState): Promise<Upload | null> {
    const { bucket: _, id, version, ...record } = upload
    const isLast = state.is === 'done' || state.is === 'aborted'
    try {
      const options = { ifVersion: version, ttlSeconds: isLast ? COMPLETED_SECONDS : UPLOAD_SECONDS_MAX }
      const put = await this.#put(id, { ...record, state }, options)
      return { ...upload, state, version: put.version }
    } catch (error) {
      if (wasReplaced(error)) return null
      throw error
    }
  }

  /** Ids of the uploads of this bucket, in no particular order. */
  async ids(max: number): Promise<string[]> {
    const prefix = this.#recordKey('')
    return (await this.#keys(prefix, max)).map((key) => key.slice(prefix.length))
  }

  /** Numbers of the parts that an upload has, in order, after one of them. */
  async partNumbers(id: string, { after, max }: { after: number; max: number }): Promise<number[]> {
    const prefix = `p/${id}/`
    const keys = await this.#keys(prefix, max, after === 0 ? undefined : partKey(id, after))
    return keys.map((key) => Number(key.slice(prefix.length)))
  }

  async removeParts(id: string): Promise<void> {
    const keys = await this.#keys(`p/${id}/`, Number.POSITIVE_INFINITY)
    if (keys.length > 0) await this.#job.deleteMany(keys, { bucket: UPLOADS_BUCKET })
  }

  async removeRecord(id: string): Promise<void> {
    await this.#job.delete(this.#recordKey(id), { bucket: UPLOADS_BUCKET })
  }

  async #keys(prefix: string, max: number, after?: string): Promise<string[]> {
    const keys: string[] = []
    try {
      for await (const { key } of this.#job.list({
        ...this.#options,
        prefix,
        ...(after !== undefined && { after }),
        ...(Number.isFinite(max) && { limit: max }),
      }))
        keys.push(key)
    } catch (error) {
      if (!isError(error, 'BUCKET_NOT_FOUND')) throw error
    }
    return keys
  }

  async #put(
    id: string,
    record: UploadRecord,
    condition: { ifAbsent?: true; ifVersion?: number; ttlSeconds?: number },
  ): Promise<{ version: number }> {
    const options = { ttlSeconds: UPLOAD_SECONDS_MAX, ...condition, ...this.#options }
    return await this.#job.put(this.#recordKey(id), JSON.stringify(record), options)
  }

  #recordKey(id: string): string {
    return `u/${this.#bucket}/${id}`
  }

  get #options(): { bucket: string; signal: AbortSignal } {
    return { bucket: UPLOADS_BUCKET, signal: this.#signal }
  }
}

/** Whether parts may still arrive, or are being copied. */
export function isUnfinished({ state }: Upload): boolean {
  return state.is === 'open' || state.is === 'claimed'
}

/** Zeros in front, so that parts are listed in the order of their numbers. */
export function partKey(id: string, number: number): string {
  return `p/${id}/${String(number).padStart(5, '0')}`
}

/** Removes all uploads of a bucket that is going to be deleted. */
export async function removeUploadsOf(exchange: Exchange): Promise<void> {
  const uploads = new UploadStore(exchange)
  for (const id of await uploads.ids(Number.POSITIVE_INFINITY)) {
    await uploads.removeRecord(id)
    await uploads.removeParts(id)
  }
}

function ignore(...codes: Parameters<typeof isError>[1][]): (error: unknown) => void {
  return (error) => {
    if (!isError(error, ...codes)) throw error
  }
}
