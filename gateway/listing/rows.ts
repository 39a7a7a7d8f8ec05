import { encodePath } from '../../client/signature-v4.ts'
import type { Exchange } from '../http/exchange.ts'
import { S3Error } from '../http/s3-error.ts'
import type { Node } from '../http/xml.ts'
import { PAGE_MAX } from '../limits.ts'

/** An element with its name. */
export type Row = readonly [string, Node | undefined]

/** How a listing writes keys. */
export interface Encoding {
  readonly encode: (text: string) => string
  /** Undefined if the request asks for none. */
  readonly encoding: 'url' | undefined
}

/** Throws `InvalidArgument`. */
export function encodingOf(exchange: Exchange): Encoding {
  const encoding = exchange.parameter('encoding-type')
  if (encoding === undefined) return { encode: (text) => text, encoding }
  if (encoding === 'url') return { encode: encodePath, encoding }
  throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request')
}

/** As S3: more than a page is a page, 0 is an empty one. */
export function maxOf(text: string | undefined, name: string): number {
  if (text === undefined || text === '') return PAGE_MAX
  if (!/^\d{1,10}$/.test(text))
    throw new S3Error('InvalidArgument', `Provided ${name} not an integer or within integer range`)
  return Math.min(PAGE_MAX, Number(text))
}

export function commonPrefixes(prefixes: readonly string[], encode: Encoding['encode']): Row[] {
  return prefixes.map((prefix) => ['CommonPrefixes', [['Prefix', encode(prefix)]]])
}

/** Everything belongs to the job. */
export function ownerOf({ job }: Exchange): Node {
  return [
    ['ID', job.id],
    ['DisplayName', job.id],
  ]
}
