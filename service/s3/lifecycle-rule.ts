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
 * Adds a lifecycle rule that removes objects under `prefix` that are older than any job: it covers nodes that
 * died without a cleanup. Other rules are left unchanged.
 */
export async function ensureLifecycleRule(bucket: S3Bucket, prefix: string): Promise<void> {
  const rule: LifecycleRule = {
    ID: RULE_ID,
    Status: 'Enabled',
    Filter: { Prefix: prefix },
    Expiration: { Days: S3_EPHEMERAL_DAYS_MAX },
    // Parts of uploads that were never completed. MinIO removes them itself and does not return this field.
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
