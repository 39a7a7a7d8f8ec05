import type { Clock } from '../../protocol/runtime.ts'
import type { TlsSettings } from '../../service/network/certificates.ts'
import { type NetworkSettings, namesOf } from './config/network-settings.ts'

interface Surroundings {
  /** The state folder. */
  readonly dir: string
  readonly clock: Clock
  readonly stopped: AbortSignal
  /** Prints a line for the user. */
  readonly say: (line: string) => void
}

/** Interval at which certificates of the cluster's own CA are checked. */
const LOOK_MS = 24 * 3600 * 1000

/** The certificate files for every process; null without TLS. With the cluster's own CA they are created, and renewed until the cluster stops. */
export async function prepareTls(
  network: NetworkSettings,
  around: Surroundings,
): Promise<TlsSettings | null> {
  const { tls } = network
  if (tls !== 'own') return tls
  // Loaded on demand: it takes a tenth of a second.
  const { ownCertificatesAt, prepareCertificates } = await import('../../service/network/own-ca.ts')
  const { clock, dir, stopped, say } = around
  const files = ownCertificatesAt(dir)
  const prepare = (): Promise<boolean> =>
    prepareCertificates(files, { hosts: namesOf(network), nowMs: clock.wallMs() })
  const lookLater = (): void => {
    const timer = clock.after(LOOK_MS, () => {
      if (stopped.aborted) return
      prepare()
        .catch((error: unknown) => say(`the certificate cannot be renewed: ${error}`))
        .finally(lookLater)
    })
    timer.unref()
  }
  await prepare()
  lookLater()
  const { certFile, keyFile, caFile } = files
  return { certFile, keyFile, caFile, name: '' }
}
