import { MayflyError } from '../../protocol/errors.ts'
import { KEY_BYTES_MAX } from '../../protocol/limits.ts'
import { runInFlight } from '../../protocol/transport/in-flight.ts'
import type { Exchange } from '../http/exchange.ts'
import { asS3Error, notImplemented, S3Error } from '../http/s3-error.ts'
import { childrenOf, type Element, type Node, parseXml, textOf } from '../http/xml.ts'
import { CALLS_IN_FLIGHT, PAGE_MAX, XML_BYTES_MAX } from '../limits.ts'
import { checkVersion } from './get.ts'

/** As in S3, deleting a missing key succeeds. */
export async function deleteObject(exchange: Exchange): Promise<void> {
  const { job, bucket, key, signal } = exchange
  checkVersion(exchange)
  if (exchange.request.headers.has('if-match')) throw notImplemented('If-Match of a deletion')
  await job.delete(key, { bucket, signal })
  exchange.send(204)
}

interface Wanted {
  readonly key: string
  readonly failure: S3Error | null
}

export async function deleteObjects(exchange: Exchange): Promise<void> {
  const { body } = exchange
  if (body.length > XML_BYTES_MAX) throw new S3Error('MalformedXML')
  const document = parseXml(await body.all(), 'Delete')
  const wanted = childrenOf(document, 'Object').map(readWanted)
  if (wanted.length === 0 || wanted.length > PAGE_MAX) throw new S3Error('MalformedXML')
  const failures = await deleteKeys(exchange, wanted)
  const isQuiet = textOf(document, 'Quiet') === 'true'
  const results = wanted.map(({ key }): readonly [string, Node] | null => {
    const failure = failures.get(key)
    if (failure === undefined) return isQuiet ? null : ['Deleted', [['Key', key]]]
    return [
      'Error',
      [
        ['Key', key],
        ['Code', failure.code],
        ['Message', failure.message],
      ],
    ]
  })
  exchange.sendXml(
    'DeleteResult',
    results.filter((result) => result !== null),
  )
}

function readWanted(element: Element): Wanted {
  const key = textOf(element, 'Key')
  if (!key) throw new S3Error('MalformedXML')
  for (const name of ['ETag', 'LastModifiedTime', 'Size'])
    if (textOf(element, name) !== undefined) return { key, failure: notImplemented(`${name} of a deletion`) }
  const version = textOf(element, 'VersionId') ?? ''
  if (version !== '' && version !== 'null') return { key, failure: new S3Error('NoSuchVersion') }
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) return { key, failure: new S3Error('KeyTooLongError') }
  return { key, failure: null }
}

/** In one message per node; if that fails one by one, so that each key has its own outcome. */
async function deleteKeys(exchange: Exchange, wanted: readonly Wanted[]): Promise<Map<string, S3Error>> {
  const { job, bucket, signal } = exchange
  const failures = new Map<string, S3Error>()
  for (const { key, failure } of wanted) if (failure !== null) failures.set(key, failure)
  const keys = wanted.filter(({ failure }) => failure === null).map(({ key }) => key)
  try {
    await job.deleteMany(keys, { bucket, signal })
  } catch (error) {
    if (!(error instanceof MayflyError) || MEANS_ALL.includes(error.code)) throw error
    await runInFlight(keys, CALLS_IN_FLIGHT, async (key) => {
      await job.delete(key, { bucket, signal }).catch((cause: unknown) => failures.set(key, asS3Error(cause)))
    })
  }
  return failures
}

/** Failures that every key would have. */
const MEANS_ALL = [
  'BUCKET_NOT_FOUND',
  'JOB_ENDED',
  'FORBIDDEN',
  'UNAUTHENTICATED',
  'TICKET_EXPIRED',
  'ABORTED',
]
