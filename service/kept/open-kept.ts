import type { Clock } from '../../protocol/runtime.ts'
import type { S3Settings } from '../s3/s3-settings.ts'
import { KeptFolder } from './kept-folder.ts'
import type { KeptStore } from './kept-store.ts'

/**
 * Opens the cluster's persistent store: on S3 if configured, otherwise in a folder. Loads the S3 driver on
 * demand, which takes 100 ms.
 */
export async function openKept(
  where: { dir: string; s3: S3Settings | null },
  clock: Clock,
): Promise<{ store: KeptStore; close: () => void }> {
  if (where.s3 === null) return { store: new KeptFolder(where.dir, clock), close: () => undefined }
  const [{ S3Bucket }, { KeptS3 }] = await Promise.all([import('../s3/s3-bucket.ts'), import('./kept-s3.ts')])
  const bucket = new S3Bucket(where.s3, clock)
  return { store: new KeptS3(bucket, clock), close: () => bucket.close() }
}
