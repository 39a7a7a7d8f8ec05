import type { Runtime } from '../../../protocol/runtime.ts'
import type { Background } from '../../../service/process/background.ts'
import type { S3Settings } from '../../../service/s3/s3-settings.ts'
import type { TierStore } from '../tier-store.ts'

/** The S3 tier of a node; null without S3. Loads the driver on demand, which takes 100 ms. */
export async function openS3(
  { id, s3 }: { id: string; s3: S3Settings | null },
  deps: Runtime & { background: Background },
): Promise<TierStore | null> {
  if (s3 === null) return null
  const [{ S3Bucket }, { S3Tier }] = await Promise.all([
    import('../../../service/s3/s3-bucket.ts'),
    import('./s3-tier.ts'),
  ])
  return new S3Tier(id, new S3Bucket(s3, deps.clock), deps)
}
