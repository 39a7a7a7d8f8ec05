import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3'
import { isError } from '../../protocol/errors.ts'
import type { S3Bucket } from './s3-bucket.ts'
import { S3_EPHEMERAL_DAYS_MAX } from './s3-limits.ts'

const RULE_ID = 'mayfly-ephemeral'

/**
 * Has the store itself remove what lies under `prefix` for longer than any job should: the safety net for what was left by nodes that
 * died while nobody could tell. Rules of others stay as they are.
 */
export async function ensureLifecycleRule(bucket: S3Bucket, prefix: string): Promise<void> {
  const rule: LifecycleRule = {
    ID: RULE_ID,
    Status: 'Enabled',
    Filter: { Prefix: prefix },
    Expiration: { Days: S3_EPHEMERAL_DAYS_MAX },
    // Parts of uploads that nobody ended; MinIO removes them by itself and leaves this out.
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
  }
  const others = (await rulesOf(bucket)).filter(({ ID }) => ID !== RULE_ID)
  const command = new PutBucketLifecycleConfigurationCommand({
    Bucket: bucket.name,
    LifecycleConfiguration: { Rules: [...others, rule] },
  })
  await bucket.send((client, options) => client.send(command, options))
}

async function rulesOf(bucket: S3Bucket): Promise<LifecycleRule[]> {
  const command = new GetBucketLifecycleConfigurationCommand({ Bucket: bucket.name })
  try {
    const { Rules = [] } = await bucket.send((client, options) => client.send(command, options))
    return Rules
  } catch (error) {
    if (isError(error, 'NOT_FOUND')) return []
    throw error
  }
}
