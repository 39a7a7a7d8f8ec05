import { readFileIfThere } from '../../service/process/private-file.ts'

interface Line {
  readonly msg?: unknown
  readonly err?: { readonly reason?: unknown; readonly message?: unknown }
}

/** The reason of an exit, from the last fatal line of the log. Null if there is none. */
export function lastReason(path: string): string | null {
  const last = readFileIfThere(path)?.trimEnd().split('\n').at(-1) ?? ''
  const line = parseLine(last)
  const reason = line?.err?.reason ?? line?.err?.message ?? line?.msg
  return typeof reason === 'string' ? reason : null
}

/** A process that crashed before its log was set up wrote plain text. */
function parseLine(text: string): Line | null {
  if (!text.startsWith('{"level":60')) return null
  try {
    return JSON.parse(text) as Line
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
