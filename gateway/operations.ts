import FindMyWay, { type HTTPMethod } from 'find-my-way'
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
} from './buckets/buckets.ts'
import type { Exchange } from './http/exchange.ts'
import { notImplemented, S3Error } from './http/s3-error.ts'
import type { S3Request } from './http/s3-request.ts'
import { HEADERS_BYTES_MAX } from './limits.ts'
import { listObjectsV1, listObjectsV2, listObjectVersions } from './listing/list-objects.ts'
import { copyObject } from './objects/copy.ts'
import { deleteObject, deleteObjects } from './objects/delete.ts'
import { getObject, headObject } from './objects/get.ts'
import { putObject } from './objects/put.ts'
import { abortMultipartUpload } from './uploads/abort.ts'
import { completeMultipartUpload } from './uploads/complete.ts'
import { createMultipartUpload } from './uploads/create.ts'
import { listMultipartUploads } from './uploads/list-uploads.ts'
import { listParts, uploadPart, uploadPartCopy } from './uploads/parts.ts'

type Handler = (exchange: Exchange) => Promise<void>

/** An operation of S3, by its name in S3's own reference. */
interface Operation {
  readonly name: string
  readonly handler: Handler
}

/** Method, level, the query parameter that selects the operation within its level, and the operation. */
type Row = readonly [HTTPMethod, 'service' | 'bucket' | 'object', string, string, Handler]

export const operations: readonly Row[] = [
  ['GET', 'service', '', 'ListBuckets', listBuckets],
  ['PUT', 'bucket', '', 'CreateBucket', createBucket],
  ['HEAD', 'bucket', '', 'HeadBucket', headBucket],
  ['DELETE', 'bucket', '', 'DeleteBucket', deleteBucket],
  ['GET', 'bucket', 'location', 'GetBucketLocation', getBucketLocation],
  ['GET', 'bucket', 'versioning', 'GetBucketVersioning', getBucketVersioning],
  ['GET', 'bucket', '', 'ListObjects', listObjectsV1],
  ['GET', 'bucket', 'list-type=2', 'ListObjectsV2', listObjectsV2],
  ['GET', 'bucket', 'versions', 'ListObjectVersions', listObjectVersions],
  ['GET', 'bucket', 'uploads', 'ListMultipartUploads', listMultipartUploads],
  ['POST', 'bucket', 'delete', 'DeleteObjects', deleteObjects],
  ['PUT', 'object', '', 'PutObject', putObject],
  ['PUT', 'object', 'copy', 'CopyObject', copyObject],
  ['GET', 'object', '', 'GetObject', getObject],
  ['HEAD', 'object', '', 'HeadObject', headObject],
  ['DELETE', 'object', '', 'DeleteObject', deleteObject],
  ['POST', 'object', 'uploads', 'CreateMultipartUpload', createMultipartUpload],
  ['PUT', 'object', 'uploadId', 'UploadPart', uploadPart],
  ['PUT', 'object', 'uploadId copy', 'UploadPartCopy', uploadPartCopy],
  ['POST', 'object', 'uploadId', 'CompleteMultipartUpload', completeMultipartUpload],
  ['DELETE', 'object', 'uploadId', 'AbortMultipartUpload', abortMultipartUpload],
  ['GET', 'object', 'uploadId', 'ListParts', listParts],
]

/** Query parameters of S3 that select an operation. One that is not in the table is refused, never ignored. */
const SUBRESOURCES: readonly string[] = [
  ...[
    'abac',
    'accelerate',
    'acl',
    'analytics',
    'append',
    'attributes',
    'cors',
    'delete',
    'encryption',
    'intelligent-tiering',
  ],
  ...[
    'inventory',
    'legal-hold',
    'lifecycle',
    'location',
    'logging',
    'metadataConfiguration',
    'metadataTable',
    'metrics',
  ],
  ...[
    'notification',
    'object-lock',
    'ownershipControls',
    'policy',
    'policyStatus',
    'publicAccessBlock',
    'renameObject',
  ],
  ...[
    'replication',
    'requestPayment',
    'restore',
    'retention',
    'select',
    'session',
    'tagging',
    'torrent',
    'uploadId',
  ],
  ...['uploads', 'versioning', 'versions', 'website'],
]

/** The operation of a request. */
export interface Route extends Operation {
  readonly bucket: string
  readonly key: string
}

const paths = { service: ['/'], bucket: ['/:bucket', '/:bucket/'], object: ['/:bucket/*'] } as const

/** Finds the operation of a request by method, path, and what its query selects. */
export class Operations {
  readonly #router = FindMyWay({
    maxParamLength: HEADERS_BYTES_MAX,
    constraints: { subresource: { name: 'subresource', storage, deriveConstraint: () => '' } },
  })

  constructor() {
    for (const [method, level, subresource, name, handler] of operations)
      for (const path of paths[level])
        this.#router.on(method, path, { constraints: { subresource } }, () => undefined, { name, handler })
  }

  /** Throws `NotImplemented`, `MethodNotAllowed`, or `InvalidURI`. */
  find(request: S3Request): Route {
    const subresource = subresourceOf(request)
    const found = this.#router.find(request.method as HTTPMethod, request.url, { subresource })
    if (found === null) {
      if (subresource !== '') throw notImplemented(subresource)
      if (request.method === 'POST') throw notImplemented('a form')
      throw new S3Error('MethodNotAllowed')
    }
    const { name, handler } = found.store as Operation
    const { bucket = '', '*': key = '' } = found.params
    return { name, handler, bucket, key }
  }
}

/** The handlers of one method and path, by subresource. */
function storage() {
  const handlers = new Map<string, unknown>()
  return {
    get: (subresource: string) => handlers.get(subresource) ?? null,
    set: (subresource: string, handler: unknown) => void handlers.set(subresource, handler),
  } as never
}

function subresourceOf({ method, query, headers }: S3Request): string {
  const named = SUBRESOURCES.filter((name) => query.has(name))
  if (named.length > 1)
    throw new S3Error('InvalidArgument', `Conflicting query parameters: ${named.join(', ')}`)
  const isCopy = method === 'PUT' && (headers.has('x-amz-copy-source') || query.has('x-amz-copy-source'))
  const parts = [...named, ...(isCopy ? ['copy'] : [])]
  if (parts.length > 0 || !query.has('list-type')) return parts.join(' ')
  return `list-type=${query.get('list-type')}`
}
