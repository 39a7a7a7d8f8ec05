import type { Environment } from '../../service/process/environment.ts'

/**
 * The variables that server processes inherit from `mayfly up`: paths of programs and temporary files, language and time zone, Node's
 * settings, certificates for S3 over TLS, the log level, and the bench's file for event-loop stalls. Nothing else, since a shell's
 * environment holds credentials of other programs that a compromised server must not see.
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
