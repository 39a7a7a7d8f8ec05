import { MayflyError } from '../errors.ts'

/** A host and a port. The host is a DNS name or an IP address, of IPv6 without brackets. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

const PORT_MAX = 65_535

/** The form in which addresses travel and are shown: `host:port`, an IPv6 address in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Null if the text is no `host:port`. An IPv6 address without brackets is none: its last part could be the port. */
export function splitAddress(text: string): HostPort | null {
  const [, bracketed, plain, digits] =
    /^(?:\[([\da-f:.]+(?:%\w+)?)\]|([^\][:\s/]+)):(\d{1,5})$/i.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  return host === undefined || port > PORT_MAX ? null : { host, port }
}

/** The address of a server. Throws `BAD_REQUEST`. */
export function parseAddress(address: string): HostPort {
  const found = splitAddress(address)
  if (found !== null && found.port > 0) return found
  throw new MayflyError('BAD_REQUEST', `'${address}' is not host:port, with an IPv6 address in brackets`)
}
