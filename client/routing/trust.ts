import type { Ticket } from '../../protocol/model/ticket.ts'
import type { Dial } from '../../protocol/transport/link.ts'
import { caIn, dialTls } from '../../protocol/transport/tls.ts'

/** The CAs to trust, called for each connection; null for those that Node trusts. It throws `BAD_REQUEST` for a file that cannot be read. */
export function caOf(given: string | undefined): () => string | null {
  return given === undefined ? caIn(process.env.MAYFLY_CA_FILE) : () => given
}

/** How the servers of a ticket are connected to. */
export function dialOf({ tls }: Ticket, plain: Dial, ca: string | undefined): Dial {
  return tls === null ? plain : dialTls({ name: tls, ca: caOf(ca) })
}
