import { resolve } from 'node:path'
import { MayflyError } from '../../../protocol/errors.ts'
import { formatAddress } from '../../../protocol/transport/address.ts'
import type { TlsSettings } from '../../../service/network/certificates.ts'
import {
  checkReachable,
  exposureRefusal,
  isLoopback,
  isUnspecified,
  parseAdvertised,
} from '../../../service/network/listening.ts'
import type { Environment } from '../../../service/process/environment.ts'
import { ConfigError, type Field, type Fields } from './fields.ts'

/** Where the processes of a cluster listen, and which address they advertise. */
export interface NetworkSettings {
  /** The IP address, or the name, that every process binds. */
  readonly host: string
  /** The host that URL, tickets and nodes name; null if it is `host`. */
  readonly advertise: string | null
  /** Whether other machines may connect without TLS. */
  readonly insecure: boolean
  /** `own`: the cluster makes a CA and certificates. Null without TLS. */
  readonly tls: TlsSettings | 'own' | null
}

export const defaultNetwork: NetworkSettings = {
  host: '127.0.0.1',
  advertise: null,
  insecure: false,
  tls: null,
}

/** Reads `host`, `advertise`, `insecure` and `tls`. */
export function readNetworkSettings(fields: Fields): NetworkSettings {
  return {
    host: fields.optional('host', readHost) ?? defaultNetwork.host,
    advertise: fields.optional('advertise', readHost) ?? defaultNetwork.advertise,
    insecure: fields.optional('insecure', (at) => at.flag()) ?? defaultNetwork.insecure,
    tls: fields.optional('tls', (at) => readTls(at.fields())) ?? defaultNetwork.tls,
  }
}

/** Throws `BAD_REQUEST` if nobody could connect to what is advertised, or others could without encryption and without consent. */
export function checkNetwork({ host, advertise, insecure, tls }: NetworkSettings): void {
  const names = { listen: '--host', advertise: '--advertise' }
  checkReachable({ host }, advertise === null ? null : { host: advertise, port: null }, names)
  if (isExposed({ host, tls }) && !insecure)
    throw new MayflyError('BAD_REQUEST', exposureRefusal(host, '--insecure'))
}

/** Whether other machines can connect without encryption. */
export function isExposed({ host, tls }: Pick<NetworkSettings, 'host' | 'tls'>): boolean {
  return tls === null && !isLoopback(host)
}

/** The names that the certificates of a cluster's own CA have. */
export function namesOf({ host, advertise }: NetworkSettings): string[] {
  const own = isUnspecified(host) ? [] : [host]
  return [...new Set(['localhost', '127.0.0.1', '::1', ...own, ...(advertise === null ? [] : [advertise])])]
}

/** The settings of a process that listens at `listen`, with the files of `tls`. */
export function networkEnvironment(
  { host, advertise, insecure }: NetworkSettings,
  { listen, tls }: { listen: string; tls: TlsSettings | null },
): Environment {
  return {
    MAYFLY_LISTEN: listen,
    MAYFLY_METRICS_LISTEN: formatAddress(host, 0),
    ...(advertise !== null && { MAYFLY_ADVERTISE: advertise }),
    ...(insecure && { MAYFLY_INSECURE: 'true' }),
    ...(tls !== null && {
      MAYFLY_TLS_CERT_FILE: tls.certFile,
      MAYFLY_TLS_KEY_FILE: tls.keyFile,
      MAYFLY_TLS_NAME: tls.name,
      ...(tls.caFile !== null && { MAYFLY_CA_FILE: tls.caFile }),
    }),
  }
}

/** A host without a port, since each process has its own. Null if the text is none. */
export function parseHost(text: string): string | null {
  const found = parseAdvertised(text)
  return found?.port === null ? found.host : null
}

function readHost(at: Field): string {
  const text = at.text(/^\S{1,253}$/)
  return parseHost(text) ?? at.refuse(`it is '${text}', not an IP address or a name`)
}

/** An empty object is the cluster's own CA. */
function readTls(fields: Fields): TlsSettings | 'own' {
  const path = (name: string): string | undefined =>
    fields.optional(name, (at) => resolve(at.text(/^[^\0]{1,4096}$/)))
  const [certFile, keyFile, caFile] = [path('certFile'), path('keyFile'), path('caFile')]
  const name = fields.optional('name', readHost)
  fields.refuseOthers()
  if (certFile !== undefined && keyFile !== undefined)
    return { certFile, keyFile, caFile: caFile ?? null, name: name ?? '' }
  if (certFile === undefined && keyFile === undefined && caFile === undefined && name === undefined)
    return 'own'
  throw new ConfigError(
    'tls: certFile and keyFile belong together; without any field the cluster has its own CA',
  )
}
