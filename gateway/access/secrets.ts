import { claimsOfAccessKey, s3KeyOf, secretOfClaims } from '../../protocol/model/s3-key.ts'
import { parseTicket } from '../../protocol/model/ticket.ts'
import { S3Error } from '../http/s3-error.ts'
import type { SecretOf } from './signature.ts'

/** The secrets of all access keys of a cluster. */
export function secretsOfCluster(clusterSecret: Buffer): SecretOf {
  return (accessKeyId) => {
    const claimed = claimsOfAccessKey(accessKeyId)
    if (claimed === null) throw new S3Error('InvalidAccessKeyId')
    return secretOfClaims(clusterSecret, claimed.encoded)
  }
}

/** The secret of one ticket's access key: such a gateway serves this job alone, and needs no secret of the cluster. */
export function secretOfTicket(ticket: string): SecretOf {
  const key = s3KeyOf(parseTicket(ticket).token)
  return (accessKeyId) => {
    if (accessKeyId !== key.accessKeyId) throw new S3Error('InvalidAccessKeyId')
    return key.secretAccessKey
  }
}
