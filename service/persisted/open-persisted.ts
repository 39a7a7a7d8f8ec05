import type { Clock } from '../../protocol/runtime.ts'
import type { S3Settings } from '../s3/s3-settings.ts'
import { PersistedFolder } from './persisted-folder.ts'
import type { PersistedStore } from './persisted-store.ts'

/**
 * Opens the cluster's persistent store: on S3 if configured, otherwise in a folder. Loads the S3 driver on
 * demand, which takes 100 ms.
 */
export async function openPersisted(
  where: { dir: string; s3: S3Settings | null },
  clock: Clock,
): Promise<{ store: PersistedStore; close: () => void }> {
  if (where.s3 === null) return { store: new PersistedFolder(where.dir, clock), close: () => undefined }
  const [{ S3Bucket }, { PersistedS3 }] = await Promise.all([
    import('../s3/s3-bucket.ts'),
    import('./persisted-s3.ts'),
  ])
  const bucket = new S3Bucket(where.s3, clock)
  return { store: new PersistedS3(bucket, clock), close: () => bucket.close() }
}
