import { formatStamp, parseStamp, type Stamp } from './kept-store.ts'

/** What is true of one file of the kept folder. */
export interface Note {
  /** Which file it is of, see `fileIdOf`. */
  readonly file: string
  readonly stamp: Stamp
  readonly expiresAtMs: number
  readonly key: string
  readonly about: Buffer
}

interface Written extends Omit<Note, 'stamp' | 'about'> {
  readonly stamp: string
  readonly about: string
}

/** What tells a file from those that were, and will be, under the same path; a copy that keeps the time of change has it too. */
export function fileIdOf({ size, mtimeMs }: { size: number; mtimeMs: number }): string {
  return `${size}-${Math.round(mtimeMs)}`
}

/** Of the file that is to come and of the one that is there until then. */
export function encodeNotes(next: Note, present: Note | null): Buffer {
  const notes = present === null ? [next] : [next, present]
  const written = notes.map(({ stamp, about, ...note }): Written => {
    return { ...note, stamp: formatStamp(stamp), about: about.toString('base64') }
  })
  return Buffer.from(JSON.stringify(written))
}

/** Nothing where somebody else has written that file. */
export function decodeNotes(encoded: Buffer | null): Note[] {
  if (encoded === null) return []
  try {
    return (JSON.parse(encoded.toString()) as Written[]).flatMap(({ stamp, about, ...note }) => {
      const parsed = parseStamp(stamp)
      return parsed === null ? [] : [{ ...note, stamp: parsed, about: Buffer.from(about, 'base64') }]
    })
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return []
    throw error
  }
}
