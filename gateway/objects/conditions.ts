import type { Exchange } from '../http/exchange.ts'
import { notImplemented, S3Error } from '../http/s3-error.ts'
import { objectOf, quote, type S3Object } from './object-record.ts'

/** The conditions of a request: of a read, or of the source of a copy. */
interface Conditions {
  readonly match: string | undefined
  readonly noneMatch: string | undefined
  readonly modifiedSince: string | undefined
  readonly unmodifiedSince: string | undefined
}

export function conditionsIn(exchange: Exchange, prefix = ''): Conditions | null {
  const names = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']
  const [match, noneMatch, modifiedSince, unmodifiedSince] = names.map((name) =>
    exchange.header(prefix + name),
  )
  const conditions = { match, noneMatch, modifiedSince, unmodifiedSince }
  return Object.values(conditions).some((each) => each !== undefined) ? conditions : null
}

/**
 * Section 13.2.2 of RFC 9110, which S3 follows. Throws `NotModified` or `PreconditionFailed`; of the source of a copy,
 * which cannot be "not modified", only the latter.
 */
export function checkConditions(conditions: Conditions | null, object: S3Object, of: 'read' | 'copy'): void {
  if (conditions === null) return
  const { match, noneMatch, modifiedSince, unmodifiedSince } = conditions
  const { etag, modifiedMs } = object
  const headers = { etag: quote(etag), 'last-modified': new Date(modifiedMs).toUTCString() }
  if (match !== undefined ? !lists(match, etag) : isAfter(modifiedMs, unmodifiedSince) === true)
    throw new S3Error('PreconditionFailed')
  if (noneMatch !== undefined ? !lists(noneMatch, etag) : isAfter(modifiedMs, modifiedSince) !== false) return
  throw of === 'copy' ? new S3Error('PreconditionFailed') : new S3Error('NotModified', undefined, { headers })
}

function lists(tags: string, etag: string): boolean {
  return tags.split(',').some((each) => {
    const tag = each.trim().replace(/^W\//, '')
    return tag === '*' || tag.replace(/^"(.*)"$/, '$1') === etag
  })
}

/** HTTP dates have whole seconds. Null without a date, or for one that cannot be read, which is ignored. */
function isAfter(modifiedMs: number, date: string | undefined): boolean | null {
  const dateMs = Date.parse(date ?? '')
  return Number.isNaN(dateMs) ? null : Math.floor(modifiedMs / 1000) > Math.floor(dateMs / 1000)
}

/** What the SDK has to require of a put. */
export type PutCondition = { readonly ifAbsent?: true } | { readonly ifVersion?: number }

/**
 * The condition of a put, copy or completion. An entity tag becomes the version that has it. Throws
 * `PreconditionFailed`, `NoSuchKey`, and `NotImplemented` as S3 does.
 */
export async function putCondition(
  exchange: Exchange,
  { bucket, key }: { bucket: string; key: string },
): Promise<PutCondition> {
  const { job, open, signal } = exchange
  const noneMatch = exchange.request.headers.get('if-none-match')
  const match = exchange.request.headers.get('if-match')
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== '*' || match !== undefined) throw notImplemented('If-None-Match')
    return { ifAbsent: true }
  }
  if (match === undefined) return {}
  const stat = await job.stat(key, { bucket, signal })
  if (stat === null) throw new S3Error('NoSuchKey')
  if (!lists(match, objectOf(stat, open.createdAt).etag)) throw new S3Error('PreconditionFailed')
  return { ifVersion: stat.version }
}
