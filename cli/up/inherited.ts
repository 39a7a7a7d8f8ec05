import type { Environment } from '../../service/process/environment.ts'

/**
 * What a server process takes over from the environment of `mayfly up`: where programs and temporary files lie, language and
 * time zone, Node's own settings, certificates for S3 over TLS, the log level, and where the bench wants stalls of the event loop written. Nothing else: a shell's environment holds
 * credentials of other programs, and a process that is taken over should have none of them.
 */
const NAMES = [
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'LC_ALL',
  'TZ',
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'NODE_V8_COVERAGE',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'UV_THREADPOOL_SIZE',
  'MAYFLY_LOG_LEVEL',
  'MAYFLY_BENCH_STALLS',
] as const

export function inherited(environment: Environment): Environment {
  return Object.fromEntries(
    NAMES.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  )
}
