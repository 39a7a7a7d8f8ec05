/** What driver, mappers and reducers agree on: how the work is split, and the keys of its parts. */

export const MAPPERS = 8
export const REDUCERS = 4

/**
 * For calls of the driver, which has to outlive what its functions may fail with: a machine that is lost together with its metadata server and most of the nodes
 * is noticed after 100 s, and calls to keys there wait for so long.
 */
export const patient = { deadlineMs: 120_000 } as const

/** The task of a mapper: its number, and how many pieces it reads. */
export interface MapTask {
  readonly mapper: number
  readonly pieces: number
}

/** A part of a piece of the input, which is some whole files. The key of a piece names the mapper that reads it. */
export interface InputFile {
  readonly file: number
  readonly text: string
}

/** A word, its count in the input, and the ids of the files that contain it, in ascending order. */
export type WordEntry = readonly [word: string, count: number, files: readonly number[]]

export const keys = {
  mapTask: (mapper: number) => `task/map/${mapper}`,
  reduceTask: (reducer: number) => `task/reduce/${reducer}`,
  input: (mapper: number, piece: number) => `input/${mapper}/${piece}`,
  partition: (mapper: number, reducer: number) => `map/${mapper}/part/${reducer}`,
  result: (reducer: number) => `result/${reducer}`,
} as const

/** The task of a mapper that reads so many pieces, and its key. */
export function mapTask(mapper: number, pieces: number): { key: string; content: string } {
  const task: MapTask = { mapper, pieces }
  return { key: keys.mapTask(mapper), content: JSON.stringify(task) }
}

export function reduceTask(reducer: number): { key: string; content: string } {
  return { key: keys.reduceTask(reducer), content: String(reducer) }
}

export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number)
}

/** A word is a run of letters and digits of any script, in lower case. */
export function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
}

/** The reducer of a word, the same in every mapper (the FNV-1a hash spreads words evenly). */
export function reducerOf(word: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % REDUCERS
}
