import { findDifference } from '../../../examples/word-count/check.ts'
import { findFolder, readTextFiles, type TextFile } from '../../../examples/word-count/corpus.ts'
import {
  type InputFile,
  keys,
  MAPPERS,
  numbers,
  REDUCERS,
  reducerOf,
  type WordEntry,
  wordsOf,
} from '../../../examples/word-count/plan.ts'
import { Tally } from '../../../examples/word-count/tally.ts'
import type { Client } from '../../clients/client.ts'
import { countLost, getAll } from './lost.ts'

interface Run {
  /** Distinguishes the objects of this run from all others. */
  readonly run: string
}

export interface CorpusParams extends Run {
  /** The first text files under node_modules, by path. */
  readonly files: number
}

export interface CountMapParams extends Run {
  readonly number: number
  /** Objects of its input. */
  readonly pieces: number
}

export interface CountReduceParams extends Run {
  readonly number: number
}

/** The same for input and check, even if the files change meanwhile. */
let corpus: readonly TextFile[] = []

/** Reads as many text files as the example counts, or fewer. */
export function readCorpus(files: number): TextFile[] {
  return readTextFiles(findFolder('node_modules', import.meta.dirname)).slice(0, files)
}

/** Puts the input of all mappers; resolves with the number of pieces of each, and the bytes of all files. */
export async function countInput(
  client: Client,
  { run, files }: CorpusParams,
): Promise<{ pieces: number[]; bytes: number }> {
  // Loaded here, because it needs Mayfly's SDK, which the processes of other systems do not load.
  const { inputsOf } = await import('../../../examples/word-count/input.ts')
  corpus = readCorpus(files)
  const inputs = inputsOf(corpus)
  for (const [mapper, pieces] of inputs.entries())
    for (const [index, piece] of pieces.entries())
      await client.put(keyOf(run, keys.input(mapper, index)), Buffer.from(JSON.stringify(piece)))
  return {
    pieces: inputs.map(({ length }) => length),
    bytes: corpus.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

/** The mapper of the example. */
export function countMap(client: Client, { run, number, pieces }: CountMapParams): Promise<number> {
  return countLost(async () => {
    const tally = new Tally()
    const input = numbers(pieces).map((piece) => keyOf(run, keys.input(number, piece)))
    for (const key of input) {
      for (const { file, text } of await readJson<InputFile[]>(client, key)) {
        for (const word of wordsOf(text)) tally.add(word, 1, [file])
      }
    }
    const partitions: WordEntry[][] = numbers(REDUCERS).map(() => [])
    for (const entry of tally.entries()) partitions[reducerOf(entry[0])]?.push(entry)
    await client.putMany(
      partitions.map((partition, reducer) => ({
        key: keyOf(run, keys.partition(number, reducer)),
        bytes: Buffer.from(JSON.stringify(partition)),
      })),
    )
    await Promise.all(input.map((key) => client.delete(key)))
  })
}

/** The reducer of the example. */
export function countReduce(client: Client, { run, number }: CountReduceParams): Promise<number> {
  return countLost(async () => {
    const tally = new Tally()
    const partitions = numbers(MAPPERS).map((mapper) => keyOf(run, keys.partition(mapper, number)))
    for (const key of partitions) {
      for (const [word, count, files] of await readJson<WordEntry[]>(client, key))
        tally.add(word, count, files)
    }
    await client.put(keyOf(run, keys.result(number)), Buffer.from(JSON.stringify(tally.entries())))
    await Promise.all(partitions.map((key) => client.delete(key)))
  })
}

/** Counts the words of the corpus in this process and describes the first difference from the results, which it deletes; null if there is none. */
export async function countCheck(client: Client, { run }: Run): Promise<string | null> {
  const results = numbers(REDUCERS).map((reducer) => keyOf(run, keys.result(reducer)))
  const entries: WordEntry[] = []
  for (const key of results) for (const entry of await readJson<WordEntry[]>(client, key)) entries.push(entry)
  await Promise.all(results.map((key) => client.delete(key)))
  return findDifference(corpus, entries)
}

async function readJson<Value>(client: Client, key: string): Promise<Value> {
  const [bytes] = await getAll(client, [key])
  return JSON.parse(String(bytes)) as Value
}

function keyOf(run: string, key: string): string {
  return `count/${run}/${key}`
}
