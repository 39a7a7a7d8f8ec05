import type { RegisteredJob } from 'mayfly'
import type { TextFile } from './corpus.ts'
import { type InputFile, keys, MAPPERS } from './plan.ts'
import { Progress } from './progress.ts'
import type { StageReport } from './stage.ts'

/** Large enough for several chunks, small enough for the memory of a mapper. */
const PIECE_BYTES = 4 * 2 ** 20

/** Puts the files into Mayfly, in pieces that are assigned to the mappers in turn. */
export async function putInput(job: RegisteredJob, files: readonly TextFile[]): Promise<StageReport> {
  const startedMs = performance.now()
  const pieces = cutInput(files)
  const progress = new Progress('input', pieces.length)
  let sum = 0
  for (const [i, piece] of pieces.entries()) {
    const bytes = Buffer.from(JSON.stringify(piece))
    await job.put(keys.input(i % MAPPERS, Math.floor(i / MAPPERS)), bytes)
    sum += bytes.length
    progress.show(i + 1)
  }
  const ms = performance.now() - startedMs
  return { name: 'input', processes: 1, objects: pieces.length, bytes: sum, ms }
}

/** Packs whole files in order until a piece is full; a larger file is a piece of its own. */
export function cutInput(files: readonly TextFile[]): InputFile[][] {
  const pieces: InputFile[][] = []
  let room = 0
  for (const [file, { text, bytes }] of files.entries()) {
    if (pieces.length === 0 || bytes > room) {
      pieces.push([])
      room = PIECE_BYTES
    }
    pieces.at(-1)?.push({ file, text })
    room -= bytes
  }
  return pieces
}
