import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext, type Server } from 'node:tls'
import { MayflyError } from '../../protocol/errors.ts'
import { caIn, TLS_VERSION_MIN, type TlsTrust } from '../../protocol/transport/tls.ts'
import type { Background } from '../process/background.ts'
import type { Environment } from '../process/environment.ts'
import type { Logger } from '../process/log.ts'
import { readPrivateFile } from '../process/private-file.ts'

/** The files of a server that speaks TLS, all in PEM. */
export interface TlsSettings {
  /** The certificate, followed by those between it and the CA. */
  readonly certFile: string
  readonly keyFile: string
  /** The CA that this process trusts as a client of others; null for those that Node trusts. */
  readonly caFile: string | null
  /** The DNS name that is expected in certificates of metadata servers and storage nodes; empty for the host of each address. */
  readonly name: string
}

/** Reads MAYFLY_TLS_CERT_FILE, MAYFLY_TLS_KEY_FILE, MAYFLY_TLS_NAME and MAYFLY_CA_FILE; null without a certificate. Throws `BAD_REQUEST`. */
export function readTls(env: Environment): TlsSettings | null {
  const [certFile, keyFile] = [env.MAYFLY_TLS_CERT_FILE || null, env.MAYFLY_TLS_KEY_FILE || null]
  if (certFile === null && keyFile === null) return null
  if (certFile === null || keyFile === null) {
    const what = 'MAYFLY_TLS_CERT_FILE and MAYFLY_TLS_KEY_FILE belong together; one of them is not set'
    throw new MayflyError('BAD_REQUEST', what)
  }
  return { certFile, keyFile, caFile: env.MAYFLY_CA_FILE || null, name: env.MAYFLY_TLS_NAME ?? '' }
}

/** What a server shows to clients. */
export interface Shown {
  readonly cert: string
  readonly key: string
}

/** The options of a server that shows them. */
export function tlsOptions(shown: Shown) {
  return { ...shown, minVersion: TLS_VERSION_MIN } as const
}

/**
 * The certificate and the key of a process, and the CA that it trusts. They are read again when their files change; connections that are open
 * keep what they began with.
 */
export class Certificates {
  readonly trust: TlsTrust
  readonly #settings: TlsSettings
  readonly #servers: Server[] = []
  #shown: Shown
  #context: SecureContext
  #expiresAt: Date

  /** Throws `BAD_REQUEST` for a file that cannot be used, and `FORBIDDEN` for a key that others may read. */
  constructor(settings: TlsSettings) {
    this.#settings = settings
    const { caFile, name } = settings
    this.trust = { name, ca: caIn(caFile) }
    this.trust.ca()
    this.#shown = this.#read()
    ;({ context: this.#context, expiresAt: this.#expiresAt } = this.#check(this.#shown))
  }

  /** Of connections from now on. */
  get context(): SecureContext {
    return this.#context
  }

  get shown(): Shown {
    return this.#shown
  }

  get expiresAt(): Date {
    return this.#expiresAt
  }

  /** New connections of a server get what is read from now on. */
  keepCurrent(server: Server): void {
    this.#servers.push(server)
  }

  /**
   * Reads the files again. True if they have changed. Throws as the constructor does, and then the former ones stay in use: one file may be
   * replaced before the other.
   */
  refresh(): boolean {
    const shown = this.#read()
    if (shown.cert === this.#shown.cert && shown.key === this.#shown.key) return false
    const { context, expiresAt } = this.#check(shown)
    this.#shown = shown
    this.#context = context
    this.#expiresAt = expiresAt
    for (const server of this.#servers) server.setSecureContext(tlsOptions(shown))
    return true
  }

  /** Throws `UNAVAILABLE` if clients refuse the certificate by now. */
  requireValid(wallMs: number): void {
    if (wallMs < this.#expiresAt.getTime()) return
    const what = `The certificate in ${this.#settings.certFile} expired at ${this.#expiresAt.toISOString()}`
    throw new MayflyError('UNAVAILABLE', what)
  }

  #read(): Shown {
    const { certFile, keyFile } = this.#settings
    return {
      cert: readPart(certFile, (path) => readFileSync(path, 'utf8')),
      key: readPart(keyFile, readPrivateFile),
    }
  }

  #check({ cert, key }: Shown): { context: SecureContext; expiresAt: Date } {
    const { certFile, keyFile } = this.#settings
    const certificate = parsed(certFile, 'a certificate', () => new X509Certificate(cert))
    const privateKey = parsed(keyFile, 'a private key without a password', () => createPrivateKey(key))
    if (!certificate.checkPrivateKey(privateKey)) {
      throw new MayflyError(
        'BAD_REQUEST',
        `The key in ${keyFile} is not that of the certificate in ${certFile}`,
      )
    }
    const context = parsed(certFile, 'a certificate', () => createSecureContext(tlsOptions({ cert, key })))
    return { context, expiresAt: new Date(certificate.validTo) }
  }
}

/** Files are read again this often. */
const LOOK_MS = 2_000

/** The certificates of a process, which are read again when they change, for as long as it runs. Null without TLS. */
export function openCertificates(
  settings: TlsSettings | null,
  { log, background }: { log: Logger; background: Background },
): Certificates | null {
  if (settings === null) return null
  const certificates = new Certificates(settings)
  background.every(LOOK_MS, ['certificates', ''], () => {
    if (certificates.refresh())
      log.info({ expiresAt: certificates.expiresAt }, 'certificates were read again')
    certificates.requireValid(Date.now())
  })
  return certificates
}

function readPart(path: string, read: (path: string) => string): string {
  try {
    return read(path)
  } catch (cause) {
    if (cause instanceof MayflyError) throw cause
    throw new MayflyError('BAD_REQUEST', `${path} cannot be read`, { cause })
  }
}

function parsed<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new MayflyError('BAD_REQUEST', `${path} does not hold ${what} in PEM`, { cause })
  }
}
