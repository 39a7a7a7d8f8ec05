import type { Command } from 'commander'
import { type Credentials, requestJob } from '../../api/http.ts'
import { shellText } from '../../terminal/shell-text.ts'

/** What an S3 client needs to use a job, as the controller replies it. */
export interface S3Reply {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly expiresAt: string
  /** The file of the CA of its certificates, if the cluster has its own. */
  readonly caFile?: string
}

export function s3Option(verb: Command): Command {
  return verb.option('--s3', 'for S3 clients: print endpoint, access key and secret, as exports for a shell')
}

export async function requestS3(
  credentials: Credentials,
  job: string,
  rights: { readonly read?: boolean; readonly write?: boolean; readonly prefix?: string },
): Promise<S3Reply> {
  const reply = await requestJob<S3Reply>(credentials, job, {
    method: 'POST',
    below: '/s3-keys',
    body: rights,
  })
  const { caFile } = credentials
  return { ...reply, ...(caFile !== undefined && { caFile }) }
}

/**
 * The variables that the SDKs and tools of AWS read. Gateways take any region; with us-east-1, boto3 would sign URLs by
 * version 2, which is refused.
 */
export function s3Exports({ endpoint, accessKeyId, secretAccessKey, caFile }: S3Reply): string {
  return [
    `export AWS_ENDPOINT_URL=${endpoint}`,
    `export AWS_ACCESS_KEY_ID=${accessKeyId}`,
    `export AWS_SECRET_ACCESS_KEY=${secretAccessKey}`,
    'export AWS_REGION=mayfly AWS_DEFAULT_REGION=mayfly',
    ...(caFile === undefined ? [] : [`export AWS_CA_BUNDLE=${shellText(caFile)}`]),
  ].join('\n')
}
