import { formatStamp, parseStamp, type Stamp } from './persisted-store.ts'

/** The description of one file of the persistent folder. */
export interface Note {
  /** Identifies its file, see `fileIdOf`. */
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

/**
 * Identifies a file among earlier and later ones under the same path; preserved by a copy that keeps the
 * modification time.
 */
export function fileIdOf({ size, mtimeMs }: { size: number; mtimeMs: number }): string {
  return `${size}-${Math.round(mtimeMs)}`
}

/** Encodes the notes of the next file and of the current one. */
export function encodeNotes(next: Note, present: Note | null): Buffer {
  const notes = present === null ? [next] : [next, present]
  const written = notes.map(({ stamp, about, ...note }): Written => {
    return { ...note, stamp: formatStamp(stamp), about: about.toString('base64') }
  })
  return Buffer.from(JSON.stringify(written))
}

/** Empty if the file was not written by Mayfly. */
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
