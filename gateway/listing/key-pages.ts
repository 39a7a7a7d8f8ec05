import type { Job } from '../../client/job.ts'
import type { ListEntry } from '../../client/objects/listing.ts'
import { KEY_BYTES_MAX, LIST_PAGE_MAX } from '../../protocol/limits.ts'

/** One page of a bucket's keys. */
export interface KeyPage {
  readonly entries: readonly ListEntry[]
  readonly prefixes: readonly string[]
  /** The last key or prefix of a page that is followed by another; null at the end. */
  readonly next: string | null
}

export interface PageRequest {
  readonly bucket: string
  readonly prefix: string
  /** Keys with the same text up to it, behind the prefix, are listed as one; empty for none. */
  readonly delimiter: string
  /** Only keys after this one. A common prefix stands for all of its keys. */
  readonly after: string
  /** 1 or more. */
  readonly max: number
  readonly signal: AbortSignal
}

/** The largest character: no key with a prefix comes after the prefix and as many of it as fit. */
const LAST = '\u{10ffff}'

/** Lists one page. Keys below a common prefix that is listed already are skipped, a page of the nodes at a time. */
export async function listKeys(job: Job, request: PageRequest): Promise<KeyPage> {
  const { bucket, prefix, max, signal } = request
  const entries: ListEntry[] = []
  const prefixes: string[] = []
  let last = request.after
  let { after, listed } = startOf(request)
  for (;;) {
    let skipped = 0
    let again = false
    for await (const entry of job.list({
      bucket,
      signal,
      // One more than the page: whether another one follows. Behind a common prefix any number is skipped.
      ...(request.delimiter === '' && { limit: max + 1 }),
      ...(prefix !== '' && { prefix }),
      ...(after !== '' && { after }),
    })) {
      const common = commonPrefix(entry.key, request)
      const isListed = common !== null && common === listed
      if (isListed && ++skipped >= LIST_PAGE_MAX) {
        after = afterAll(common)
        again = true
        break
      }
      if (isListed) continue
      if (entries.length + prefixes.length === max) return { entries, prefixes, next: last }
      skipped = 0
      if (common === null) entries.push(entry)
      else prefixes.push(common)
      listed = common ?? listed
      last = common ?? entry.key
    }
    if (!again) return { entries, prefixes, next: null }
  }
}

/** A page that follows a common prefix, which is `listed`, follows all of its keys. */
function startOf(request: PageRequest): { after: string; listed: string | null } {
  const { after, prefix } = request
  const isPrefix = after.startsWith(prefix) && commonPrefix(after, request) === after
  return isPrefix ? { after: afterAll(after), listed: after } : { after, listed: null }
}

/** What stands for a key below the prefix in a listing with a delimiter; null for the key itself. */
export function commonPrefix(
  key: string,
  { prefix, delimiter }: Pick<PageRequest, 'prefix' | 'delimiter'>,
): string | null {
  if (delimiter === '') return null
  const end = key.indexOf(delimiter, prefix.length)
  return end < 0 ? null : key.slice(0, end + delimiter.length)
}

/** A key after all keys with this prefix. */
function afterAll(prefix: string): string {
  return prefix + LAST.repeat(Math.floor((KEY_BYTES_MAX - Buffer.byteLength(prefix)) / 4))
}
