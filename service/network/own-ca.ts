import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { readFileIfThere, writePrivateFile } from '../process/private-file.ts'

const DAY_MS = 24 * 3600 * 1000
const CA_DAYS = 3650
const CERTIFICATE_DAYS = 90
/** A certificate that expires sooner is replaced. */
const RENEW_DAYS = 30
/** Clocks of other machines may be behind. */
const EARLIER_MS = 3600 * 1000

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const NAME_OF_CA = 'CN=Mayfly CA'

/** The files of a cluster's own CA and of the certificate of its processes. */
export interface OwnCertificates {
  readonly caFile: string
  readonly caKeyFile: string
  readonly certFile: string
  readonly keyFile: string
}

/** No I/O. */
export function ownCertificatesAt(dir: string): OwnCertificates {
  const at = (name: string): string => join(dir, 'tls', name)
  return {
    caFile: at('ca.pem'),
    caKeyFile: at('ca-key.pem'),
    certFile: at('cert.pem'),
    keyFile: at('key.pem'),
  }
}

/**
 * Creates missing files, and replaces a certificate that has other names or expires soon. The CA stays, so that clients keep trusting it. True
 * if a certificate was created.
 */
export async function prepareCertificates(
  files: OwnCertificates,
  { hosts, nowMs }: { hosts: readonly string[]; nowMs: number },
): Promise<boolean> {
  cryptoProvider.set(webcrypto)
  mkdirSync(join(files.caFile, '..'), { recursive: true, mode: 0o700 })
  const made = await prepareCa(files, nowMs)
  const present = readFileIfThere(files.certFile)
  const ca = new X509Certificate(readFileIfThere(files.caFile) ?? '')
  if (!made && present !== null && isGood(new X509Certificate(present), { ca, hosts, nowMs })) return false
  await issue(files, ca, { hosts, nowMs })
  return true
}

function isGood(
  certificate: X509Certificate,
  { ca, hosts, nowMs }: { ca: X509Certificate; hosts: readonly string[]; nowMs: number },
): boolean {
  const isNamed = (host: string): boolean =>
    (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined
  const leftMs = Date.parse(certificate.validTo) - nowMs
  return leftMs > RENEW_DAYS * DAY_MS && hosts.every(isNamed) && certificate.checkIssued(ca)
}

/** True if a new CA was created. */
async function prepareCa({ caFile, caKeyFile }: OwnCertificates, nowMs: number): Promise<boolean> {
  if (readFileIfThere(caFile) !== null && readFileIfThere(caKeyFile) !== null) return false
  const keys = await makeKeys()
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...validity(nowMs, CA_DAYS),
    name: NAME_OF_CA,
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  writePrivateFile(caKeyFile, await keyText(keys.privateKey))
  writePrivateFile(caFile, `${ca.toString('pem')}\n`)
  return true
}

/** The key is written first; until the certificate follows, processes keep using the former pair. */
async function issue(
  { caKeyFile, certFile, keyFile }: OwnCertificates,
  ca: X509Certificate,
  { hosts, nowMs }: { hosts: readonly string[]; nowMs: number },
): Promise<void> {
  const keys = await makeKeys()
  const keyOfCa = createPrivateKey(readFileIfThere(caKeyFile) ?? '')
  const imported = <Usage extends 'pkcs8' | 'spki'>(format: Usage, der: Buffer, use: 'sign' | 'verify') =>
    webcrypto.subtle.importKey(format, der, algorithm, true, [use])
  const certificate = await X509CertificateGenerator.create({
    ...validity(nowMs, CERTIFICATE_DAYS),
    subject: 'CN=Mayfly',
    issuer: NAME_OF_CA,
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: await imported('pkcs8', keyOfCa.export({ type: 'pkcs8', format: 'der' }), 'sign'),
    extensions: [
      new BasicConstraintsExtension(false),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await AuthorityKeyIdentifierExtension.create(
        await imported('spki', ca.publicKey.export({ type: 'spki', format: 'der' }), 'verify'),
      ),
    ],
  })
  writePrivateFile(keyFile, await keyText(keys.privateKey))
  writePrivateFile(certFile, `${certificate.toString('pem')}\n`)
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
}

function validity(nowMs: number, days: number) {
  return {
    serialNumber: randomBytes(16).toString('hex').replace(/^./, '1'),
    notBefore: new Date(nowMs - EARLIER_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
  }
}

async function keyText(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}
