import { type DestinationStream, destination, pino } from 'pino'

/** One line of the access log. It omits the query string, which may contain a signature. */
interface AccessLine {
  readonly request: string
  readonly remote: string
  readonly operation: string
  readonly job: string
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly status: number
  readonly code: string
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly ms: number
}

export interface AccessLog {
  write(line: AccessLine): void
  close(): void
}

/** Appends JSON lines to a file; without a path it writes nothing. */
export function openAccessLog(path: string | null): AccessLog {
  if (path === null) return { write: () => undefined, close: () => undefined }
  const lines = destination({
    dest: path,
    sync: false,
    append: true,
    mode: 0o600,
    minLength: 4096,
    periodicFlush: 1000,
  })
  // A full disk accepts no lines; requests are answered anyway.
  lines.on('error', () => undefined)
  const log = pino({ base: null }, lines as DestinationStream)
  return { write: (line) => log.info(line), close: () => lines.end() }
}
