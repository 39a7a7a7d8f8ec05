import { MayflyError } from '../../protocol/errors.ts'
import type { Environment } from '../process/environment.ts'
import { readPrivateFile } from '../process/private-file.ts'

/** Prefix of objects that live no longer than their job: `ephemeral/JOB/NODE/RECORD`. */
export const EPHEMERAL_PREFIX = 'ephemeral/'

/** An S3-compatible store, as in the cluster's config. */
export interface S3Settings {
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** Read from the file that MAYFLY_S3_FILE names; null if that is not set. Throws `BAD_REQUEST`. */
export function readS3(env: Environment): S3Settings | null {
  const path = env.MAYFLY_S3_FILE
  if (path === undefined || path === '') return null
  const settings = JSON.parse(readPrivateFile(path)) as Partial<S3Settings>
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = settings
  const complete = { endpoint, region, bucket, accessKeyId, secretAccessKey }
  for (const [name, value] of Object.entries(complete)) {
    if (typeof value !== 'string' || value === '')
      throw new MayflyError('BAD_REQUEST', `${path} has no ${name}`)
  }
  return complete as S3Settings
}
