import { MayflyError } from '../errors.ts'
import { bytes, encode, optional, struct, text, type ValueOf } from '../wire/codec.ts'
import { Reader } from '../wire/reader.ts'
import { placementCodec } from './placement.ts'

/**
 * What a function needs to reach its job: the metadata address, the token, and the placement when the ticket
 * was issued, so that a first get connects only to the key's node. `tls` is null if metadata and nodes speak no
 * TLS; else it is the name of their certificates, empty if each has the host of its address.
 */
export type Ticket = ValueOf<typeof ticketCodec>

const PREFIX = 'mayfly2.'

const ticketCodec = struct({
  metadata: text,
  tls: optional(text),
  job: text,
  token: bytes,
  placement: placementCodec,
})

export function formatTicket(ticket: Omit<Ticket, 'tls'> & Partial<Pick<Ticket, 'tls'>>): string {
  return PREFIX + encode(ticketCodec, { tls: null, ...ticket }).toString('base64url')
}

/** Throws `UNAUTHENTICATED` for a string that is no ticket. Nodes verify the token. */
export function parseTicket(ticket: string): Ticket {
  if (typeof ticket !== 'string' || !ticket.startsWith(PREFIX)) {
    throw new MayflyError('UNAUTHENTICATED', `A ticket is a string that starts with '${PREFIX}'`)
  }
  const reader = new Reader(Buffer.from(ticket.slice(PREFIX.length), 'base64url'))
  try {
    const parsed = ticketCodec.read(reader)
    reader.finish()
    return parsed
  } catch (cause) {
    throw new MayflyError('UNAUTHENTICATED', 'The ticket is damaged', { cause })
  }
}
