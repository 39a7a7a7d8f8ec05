import type { Client } from '../../clients/client.ts'
import { countLost, getAll } from './lost.ts'
import {
  checksumOf,
  findDisorder,
  keyAt,
  makeRecords,
  partition,
  RECORD_BYTES,
  sortRecords,
} from './records.ts'

export interface SortParams {
  /** Distinguishes the objects of this run from all others. */
  readonly run: string
  /** Of this mapper or reducer. */
  readonly number: number
  readonly mappers: number
  readonly reducers: number
  /** Of one mapper. */
  readonly records: number
}

/** Records of one object. */
export interface Summary {
  readonly records: number
  readonly checksum: number
}

export interface Sorted extends Summary {
  /** The first and the last key in hexadecimal digits; empty without records. */
  readonly firstKey: string
  readonly lastKey: string
  /** The first record that is out of order, or null. */
  readonly disorder: number | null
}

/** Puts the input of one mapper. */
export async function sortInput(client: Client, params: SortParams): Promise<Summary> {
  const { run, number, records } = params
  const input = makeRecords(records)
  await client.put(keys.input(run, number), input)
  return { records, checksum: checksumOf(input) }
}

/** Puts one partition of its input for each reducer, and deletes the input. */
export function sortMap(client: Client, { run, number, reducers }: SortParams): Promise<number> {
  return countLost(async () => {
    const [input] = await getAll(client, [keys.input(run, number)])
    const parts = partition(input as Buffer, reducers)
    await client.putMany(parts.map((bytes, reducer) => ({ key: keys.part(run, number, reducer), bytes })))
    await client.delete(keys.input(run, number))
  })
}

/** Puts the sorted records of its range, and deletes its partitions. */
export function sortReduce(client: Client, { run, number, mappers }: SortParams): Promise<number> {
  return countLost(async () => {
    const parts = Array.from({ length: mappers }, (_, mapper) => keys.part(run, mapper, number))
    const records = Buffer.concat(await getAll(client, parts))
    await client.put(keys.output(run, number), sortRecords(records))
    await Promise.all(parts.map((key) => client.delete(key)))
  })
}

/** Examines what one reducer has put, and deletes it. */
export async function sortCheck(client: Client, { run, number }: SortParams): Promise<Sorted> {
  const output = await client.get(keys.output(run, number))
  await client.delete(keys.output(run, number))
  const records = output.length / RECORD_BYTES
  const keyOf = (index: number): string => (records === 0 ? '' : keyAt(output, index))
  return {
    records,
    checksum: checksumOf(output),
    firstKey: keyOf(0),
    lastKey: keyOf(records - 1),
    disorder: findDisorder(output),
  }
}

const keys = {
  input: (run: string, mapper: number) => `sort/${run}/input/${mapper}`,
  part: (run: string, mapper: number, reducer: number) => `sort/${run}/part/${mapper}/${reducer}`,
  output: (run: string, reducer: number) => `sort/${run}/output/${reducer}`,
}
