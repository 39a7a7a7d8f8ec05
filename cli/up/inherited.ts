import type { Environment } from '../../service/process/environment.ts'

/**
 * The variables that server processes inherit from `mayfly up`: paths of programs and temporary files, language and time zone, Node's
 * settings, those of malloc, certificates for S3 over TLS, the log level, the file of the S3 gateway's access log and the number of its processes, and the bench's file for event-loop stalls. Nothing else, since a shell's
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
  'MALLOC_MMAP_THRESHOLD_',
  'MALLOC_TRIM_THRESHOLD_',
  'MAYFLY_LOG_LEVEL',
  'MAYFLY_TRACES_URL',
  'MAYFLY_S3_ACCESS_LOG',
  'MAYFLY_GATEWAY_PROCESSES',
  'MAYFLY_BENCH_STALLS',
] as const

/**
 * Settings of glibc's malloc, so that a process that held much memory returns it. Without them the threshold
 * above which an allocation is mapped, and unmapped when it is freed, rises to 32 MiB, and what is freed
 * below the last allocation stays resident: 177 MiB instead of 101 after an attack on every kind of memory.
 * Payloads of 1 MiB are below the threshold: they reuse pages that are mapped.
 */
export const MALLOC_SETTINGS: Environment = {
  MALLOC_MMAP_THRESHOLD_: String(2 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(4 * 1024 * 1024),
}

export function inherited(environment: Environment): Environment {
  return {
    ...MALLOC_SETTINGS,
    ...Object.fromEntries(
      NAMES.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
    ),
  }
}
