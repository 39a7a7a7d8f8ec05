import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { MayflyError } from '../errors.ts'
import { parseAddress } from './address.ts'
import { connectLink, type TcpLink } from './tcp.ts'

/** How a client verifies servers that speak TLS. */
export interface TlsTrust {
  /** The DNS name that certificates have; empty for the host of each address. */
  readonly name: string
  /** CAs in PEM, the only ones that are trusted; null for those that Node trusts. Called for each connection. */
  readonly ca: () => string | null
}

/** No earlier version is spoken: 1.3 needs one round trip less, and has no cipher to choose. */
export const TLS_VERSION_MIN = 'TLSv1.3'

/** Reads the CAs of a file, for each connection; those that Node trusts without one. What it returns throws `BAD_REQUEST`. */
export function caIn(path: string | null | undefined): () => string | null {
  return () => (path ? readCa(path) : null)
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new MayflyError('BAD_REQUEST', `The file of the CA, ${path}, cannot be read`, { cause })
  }
}

/**
 * Connects with TLS. The link receives into memory of its reader as one without TLS does, a record of at most 16 KiB at a time. Rejects
 * with `TLS_FAILED`, which names what is wrong, or with `UNAVAILABLE`.
 */
export function dialTls({ name, ca }: TlsTrust): (address: string) => Promise<TcpLink> {
  return async (address) => {
    const { host, port } = parseAddress(address)
    // Loaded with the first connection: a function without TLS does not pay for it.
    const { connect } = await import('node:tls')
    // It is sent to the server and verified. RFC 6066 allows no address there; without a name the host is verified.
    const servername = name || (isIP(host) ? '' : host)
    const trusted = ca() ?? undefined
    return await connectLink(address, {
      makeSocket: (onread) => {
        // `onread` is documented, and missing in the types.
        const options = { host, port, onread, minVersion: TLS_VERSION_MIN, servername, ca: trusted } as const
        try {
          return connect(options)
        } catch (cause) {
          throw new MayflyError('BAD_REQUEST', 'ca: it is not PEM', { cause })
        }
      },
      event: 'secureConnect',
      failure: (cause) => {
        const fault = tlsFault(cause)
        return fault === null
          ? null
          : new MayflyError('TLS_FAILED', `The server at ${address} ${fault}`, { cause })
      },
    })
  }
}

/** By the code of Node's error. */
const faults: readonly (readonly [RegExp, string])[] = [
  [/EXPIRED/, 'has a certificate that has expired'],
  [/NOT_YET/, 'has a certificate that is not valid yet'],
  [/^ERR_SSL_(WRONG_VERSION|PACKET)/, 'does not speak TLS'],
  [/PROTOCOL/, 'does not speak TLS 1.3'],
  [
    /SELF_SIGNED|ISSUER|SIGNATURE|UNTRUSTED|INVALID_CA/,
    'has a certificate of a CA that is not trusted here; name it with MAYFLY_CA_FILE or ca',
  ],
]

/** What is wrong with the server's TLS, as the rest of a sentence about it. Null for an error of another kind. */
export function tlsFault(cause: unknown): string | null {
  const {
    code = '',
    host,
    cert,
  } = (cause ?? {}) as { code?: string; host?: string; cert?: { subjectaltname?: string } }
  if (code !== 'ERR_TLS_CERT_ALTNAME_INVALID') return faults.find(([codes]) => codes.test(code))?.[1] ?? null
  const names = cert?.subjectaltname?.replace(/IP Address:|DNS:/g, '')
  return `has a certificate for ${names || 'no name'}, not for ${host}`
}
