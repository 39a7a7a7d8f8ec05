import { MayflyError } from '../../protocol/errors.ts'
import type { Clock } from '../../protocol/runtime.ts'
import { EPHEMERAL_PREFIX, type S3Settings } from './s3-settings.ts'

/**
 * Checks that a cluster can start with these settings, and adds the lifecycle rule. Rejects with one line
 * that names the problem: the endpoint, the bucket or the keys.
 */
export async function prepareS3(settings: S3Settings, clock: Clock): Promise<void> {
  const [{ S3Bucket }, { ensureLifecycleRule }] = await Promise.all([
    import('./s3-bucket.ts'),
    import('./lifecycle-rule.ts'),
  ])
  const bucket = new S3Bucket(settings, clock)
  try {
    await bucket.check()
    await ensureLifecycleRule(bucket, EPHEMERAL_PREFIX)
  } catch (error) {
    if (!(error instanceof MayflyError)) throw error
    throw new MayflyError(error.code, `s3: ${error.reason}`, { cause: error })
  } finally {
    bucket.close()
  }
}
