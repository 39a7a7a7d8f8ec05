import { MayflyError } from '../../protocol/errors.ts'
import { type S3Key, s3KeyOf } from '../../protocol/model/s3-key.ts'
import { signToken } from '../../protocol/model/token.ts'
import { S3_KEY_SECONDS } from '../limits.ts'
import type { Gateways } from '../nodes/gateways.ts'
import type { Job } from '../records/job.ts'
import type { Grant } from './tickets.ts'

/** What an S3 client needs to use a job. */
export interface S3Access extends S3Key {
  readonly endpoint: string
  readonly expiresAtMs: number
}

/**
 * The access keys of a job for S3 clients. They follow from the cluster's secret, the job and the rights, so the same
 * rights always have the same key, and no key is stored.
 */
export class S3Keys {
  readonly #secret: Buffer
  readonly #gateways: Gateways

  constructor({ secret, gateways }: { secret: Buffer; gateways: Gateways }) {
    this.#secret = secret
    this.#gateways = gateways
  }

  /** Throws `UNAVAILABLE` if no gateway reports. */
  issue({ id, createdAtMs }: Job, { read, write, prefix }: Omit<Grant, 'seconds'>): S3Access {
    const [gateway] = this.#gateways.heard()
    if (gateway === undefined)
      throw new MayflyError(
        'UNAVAILABLE',
        'No S3 gateway reports to the controller; start one with `mayfly gateway`',
      )
    const expiresSeconds = Math.floor(createdAtMs / 1000) + S3_KEY_SECONDS
    const token = signToken(this.#secret, {
      job: id,
      read,
      write,
      expiresSeconds,
      prefix: Buffer.from(prefix),
    })
    return { endpoint: gateway.endpoint, ...s3KeyOf(token), expiresAtMs: expiresSeconds * 1000 }
  }
}
