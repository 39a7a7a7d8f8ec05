import { type DestinationStream, destination, pino } from 'pino'

/** One request, as the access log has it. No query: it may have a signature. */
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

/** Lines of JSON at the end of a file; none without a path. */
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
