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

/** A certificate of the cluster's own CA is looked at this often. */
const LOOK_MS = 24 * 3600 * 1000

/** The files that every process is given; null without TLS. Those of the cluster's own CA are made, and renewed until it has stopped. */
export async function prepareTls(
  network: NetworkSettings,
  around: Surroundings,
): Promise<TlsSettings | null> {
  const { tls } = network
  if (tls !== 'own') return tls
  // It is loaded where it is used: it takes a tenth of a second.
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
