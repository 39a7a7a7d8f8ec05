import { isIP, isIPv6 } from 'node:net'
import { MayflyError } from '../../protocol/errors.ts'
import { formatAddress, type HostPort, splitAddress } from '../../protocol/transport/address.ts'
import { caIn } from '../../protocol/transport/tls.ts'
import type { Environment } from '../process/environment.ts'
import { readTls, type TlsSettings } from './certificates.ts'

/** The host to which others connect, if it is not the bound address: a DNS name, or the address of a pod. */
export interface Advertised {
  readonly host: string
  /** Null if it is the port that is bound. */
  readonly port: number | null
}

/** Where a process listens. Port 0 takes a free one. */
export interface ListenAt extends HostPort {
  /** Missing if others connect to the bound address itself. */
  readonly advertised?: Advertised
}

/** The listeners of a server process. */
export interface NetworkConfig {
  readonly listen: ListenAt
  /** Of `/healthz`, `/readyz` and `/metrics`. */
  readonly probes: ListenAt
  /** Of every listener; null if none speaks TLS. */
  readonly tls: TlsSettings | null
  /** The CA that the process trusts as a client of the HTTP API; null for those that Node trusts. */
  readonly caFile: string | null
  /** Whether other machines can connect, and what they send is not encrypted. */
  readonly isExposed: boolean
}

/**
 * Reads MAYFLY_LISTEN, MAYFLY_ADVERTISE, MAYFLY_METRICS_LISTEN, MAYFLY_INSECURE, MAYFLY_CA_FILE, and what `readTls` reads. Throws `BAD_REQUEST`, naming the variable.
 * No name is resolved: a process may start before its name exists.
 */
export function readNetwork(env: Environment): NetworkConfig {
  const at = readHostPort(env, 'MAYFLY_LISTEN', '127.0.0.1:0')
  const probesAt = readHostPort(env, 'MAYFLY_METRICS_LISTEN', formatAddress(at.host, 0))
  const advertised = readAdvertised(env)
  const names = { listen: 'MAYFLY_LISTEN', advertise: 'MAYFLY_ADVERTISE' }
  checkReachable(at, advertised, names)
  checkReachable(probesAt, advertised, { ...names, listen: 'MAYFLY_METRICS_LISTEN' })
  const tls = readTls(env)
  const caFile = env.MAYFLY_CA_FILE || null
  caIn(caFile)()
  const isExposed = tls === null && [at, probesAt].some(({ host }) => !isLoopback(host))
  const isAllowed = readFlag(env, 'MAYFLY_INSECURE')
  if (isExposed && !isAllowed)
    throw new MayflyError(
      'BAD_REQUEST',
      exposureRefusal(formatAddress(at.host, at.port), 'MAYFLY_INSECURE=true'),
    )
  return {
    listen: advertised === null ? at : { ...at, advertised },
    // An advertised port applies to the main listener alone.
    probes: advertised === null ? probesAt : { ...probesAt, advertised: { ...advertised, port: null } },
    tls,
    caFile,
    isExposed,
  }
}

/** The advertised address of a listener. */
export function advertisedAddress({ host, advertised }: ListenAt, boundPort: number): string {
  return formatAddress(advertised?.host ?? host, advertised?.port ?? boundPort)
}

/** The error for a listener without TLS; `consent` is the setting that allows it. */
export function exposureRefusal(address: string, consent: string): string {
  return `Other machines could connect to ${address}, and object bytes and API keys would cross the network unencrypted. Set a certificate for TLS, listen on 127.0.0.1, or allow it with ${consent}`
}

/** Throws `BAD_REQUEST` if the advertised address stands for every interface, to which nobody can connect. `names` are the names of the settings. */
export function checkReachable(
  { host }: { readonly host: string },
  advertised: Advertised | null,
  names: { readonly listen: string; readonly advertise: string },
): void {
  if (advertised !== null && isUnspecified(advertised.host)) {
    const what = `${names.advertise} is '${advertised.host}', which stands for every interface; name an address or a DNS name of this machine`
    throw new MayflyError('BAD_REQUEST', what)
  }
  if (advertised !== null || !isUnspecified(host)) return
  const what = `${names.listen} has '${host}', which stands for every interface and is no address to connect to; set ${names.advertise} to an address or a DNS name of this machine`
  throw new MayflyError('BAD_REQUEST', what)
}

/** `HOST`, `HOST:PORT`, or an IPv6 address with or without brackets. Null if it is none of these. */
export function parseAdvertised(text: string): Advertised | null {
  if (isIPv6(text)) return { host: text, port: null }
  const bare = /^\[(.*)\]$/.exec(text)?.[1]
  if (bare !== undefined) return isIPv6(bare) ? { host: bare, port: null } : null
  const found = splitAddress(text) ?? { host: text, port: null }
  return found.port !== 0 && isHost(found.host) ? found : null
}

/** Whether it is an IP address or has the form of a DNS name. */
function isHost(host: string): boolean {
  return isIP(host) !== 0 || /^(?!-)[\w-]+(\.[\w-]+)*\.?$/.test(host)
}

/** A name other than `localhost` may resolve to any address. */
export function isLoopback(host: string): boolean {
  const address = canonical(host)
  return (
    address === 'localhost' ||
    address === '[::1]' ||
    /^(\[::ffff:7f[\da-f]{2}:[\da-f]+\]|127(\.\d+){3})$/.test(address)
  )
}

/** Whether it is the unspecified address (all interfaces), in any notation. */
export function isUnspecified(host: string): boolean {
  return ['0.0.0.0', '[::]', '[::ffff:0:0]'].includes(canonical(host))
}

/** As in a URL: the shortest form of an IPv6 address in brackets, four numbers of IPv4, a name in lower case. */
function canonical(host: string): string {
  const url = `http://${isIPv6(host) ? `[${host.replace(/%.*$/, '')}]` : host}/`
  return URL.canParse(url) ? new URL(url).hostname : host
}

function readHostPort(env: Environment, name: string, fallback: string): HostPort {
  const text = env[name] || fallback
  const found = splitAddress(text)
  if (found !== null && isHost(found.host)) return found
  throw new MayflyError(
    'BAD_REQUEST',
    `${name} is '${text}', not of the form host:port, with an IPv6 address in brackets`,
  )
}

function readAdvertised(env: Environment): Advertised | null {
  const text = env.MAYFLY_ADVERTISE
  if (text === undefined || text === '') return null
  const advertised = parseAdvertised(text)
  if (advertised !== null) return advertised
  throw new MayflyError(
    'BAD_REQUEST',
    `MAYFLY_ADVERTISE is '${text}', not an IP address or a DNS name, with or without :port`,
  )
}

function readFlag(env: Environment, name: string): boolean {
  const text = env[name]
  if (text === undefined || text === '' || text === 'false') return false
  if (text === 'true') return true
  throw new MayflyError('BAD_REQUEST', `${name} is '${text}', not true or false`)
}
