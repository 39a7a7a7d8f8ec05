import type { RegisteredJob } from 'mayfly'
import type { TextFile } from './corpus.ts'
import { type InputFile, keys, MAPPERS, patient } from './plan.ts'
import { Progress } from './progress.ts'
import { repeat } from './repeat.ts'
import type { StageReport } from './stage.ts'

/** Large enough for several chunks, small enough for the memory of a mapper. */
const PIECE_BYTES = 4 * 2 ** 20

/** Puts the pieces of these mappers into Mayfly. */
export async function putInput(
  job: RegisteredJob,
  inputs: readonly (readonly InputFile[][])[],
  mappers: readonly number[],
): Promise<StageReport> {
  const startedMs = performance.now()
  const objects = mappers.flatMap((mapper) =>
    (inputs[mapper] ?? []).map((piece, index) => ({ key: keys.input(mapper, index), piece })),
  )
  const progress = new Progress('input', objects.length)
  let sum = 0
  for (const [i, { key, piece }] of objects.entries()) {
    const bytes = Buffer.from(JSON.stringify(piece))
    await repeat(() => job.put(key, bytes, patient))
    sum += bytes.length
    progress.show(i + 1)
  }
  const ms = performance.now() - startedMs
  return { name: 'input', processes: 1, objects: objects.length, bytes: sum, ms }
}

/** The pieces of each mapper: they are assigned to the mappers in turn. */
export function inputsOf(files: readonly TextFile[]): InputFile[][][] {
  const pieces = cutInput(files)
  return Array.from({ length: MAPPERS }, (_, mapper) => pieces.filter((_, i) => i % MAPPERS === mapper))
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
