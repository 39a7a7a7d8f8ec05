import { isError } from '../protocol/errors.ts'
import { DEFAULT_BUCKET } from '../protocol/model/keys.ts'
import type { ControllerApi } from './controller-api.ts'
import { type CallerOptions, checkOptions } from './options.ts'

/** An object that was put with `persist`. */
export interface KeptObject {
  /** Id of the job that put it. */
  readonly job: string
  readonly bucket: string
  readonly key: string
  readonly bytes: number
  /** When it expires; null if it does not. */
  readonly expiresAt: Date | null
}

export interface KeptListOptions extends CallerOptions {
  /** Of `JOB/BUCKET/KEY`; `JOB/` selects one job. */
  readonly prefix?: string
}

export interface KeptName {
  readonly job: string
  /** `default` if not given. */
  readonly bucket?: string
  readonly key: string
}

/** Objects that were put with `persist`: they outlive their job until they are deleted or expire. */
export interface Kept {
  /** Each object once, in the store's order. The deadline applies to each page. */
  list(options?: KeptListOptions): AsyncGenerator<KeptObject, void, undefined>
  /** `NOT_FOUND` if there is none, `OBJECT_TOO_LARGE` above 2 GiB: read those from the store itself. */
  get(name: KeptName, options?: CallerOptions): Promise<Buffer>
  /**
   * Resolves with whether there was one. While its job is running, delete it through the job, which has its
   * own copy.
   */
  delete(name: KeptName, options?: CallerOptions): Promise<boolean>
}

interface Page {
  readonly objects: readonly (Omit<KeptObject, 'expiresAt'> & { expiresAtMs: number })[]
  readonly next?: string
}

export function remainderOf(controller: ControllerApi): Kept {
  return {
    async *list(options = {}) {
      checkOptions('kept', options)
      const { prefix = '', ...bounds } = options
      for (let after: string | undefined = ''; after !== undefined; ) {
        const query = new URLSearchParams({ prefix, after })
        const page = (await controller.call('GET', `/v1/kept?${query}`, bounds)) as Page
        for (const { expiresAtMs, ...object } of page.objects)
          yield { ...object, expiresAt: expiresAtMs === 0 ? null : new Date(expiresAtMs) }
        after = page.next
      }
    },
    async get(name, bounds = {}) {
      checkOptions('call', bounds)
      return await controller.bytes(pathOf(name), bounds)
    },
    async delete(name, bounds = {}) {
      checkOptions('call', bounds)
      try {
        await controller.call('DELETE', pathOf(name), bounds)
        return true
      } catch (error) {
        if (isError(error, 'NOT_FOUND')) return false
        throw error
      }
    },
  }
}

function pathOf(name: KeptName): string {
  checkOptions('persistedName', name)
  const { job, bucket = DEFAULT_BUCKET, key } = name
  return `/v1/kept/object?${new URLSearchParams({ job, bucket, key })}`
}
