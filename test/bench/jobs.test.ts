import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Client, isLost } from '../../bench/clients/client.ts'
import { open } from '../../bench/clients/disk.ts'
import { measureJob } from '../../bench/jobs/measure.ts'
import { faultsOf } from '../../bench/jobs/sort.ts'
import { Entrant } from '../../bench/load/entrant.ts'
import { startDisk } from '../../bench/servers/disk.ts'
import { compile, compileInput, link, type ProgramParams, programOf } from '../../bench/tasks/jobs/compile.ts'
import {
  checksumOf,
  findDisorder,
  makeRecords,
  partition,
  RECORD_BYTES,
  sortRecords,
} from '../../bench/tasks/jobs/records.ts'
import {
  type Sorted,
  type SortParams,
  sortCheck,
  sortInput,
  sortMap,
  sortReduce,
} from '../../bench/tasks/jobs/sort.ts'
import { tempDir } from '../fixture/temp-dir.ts'

async function openDisk(dir: string): Promise<Client> {
  const client = await open(dir)
  onTestFinished(() => client.close())
  return client
}

test('records are sorted by all ten bytes of the key, and the sort keeps each of them', () => {
  const records = makeRecords(2_000)
  // Half of the records have a prefix of four bytes in common, so that the other six decide.
  for (let index = 0; index < 1_000; index++) records.writeUInt32BE(7, index * RECORD_BYTES)
  const all = (buffer: Buffer): string[] =>
    Array.from({ length: buffer.length / RECORD_BYTES }, (_, index) =>
      buffer.toString('hex', index * RECORD_BYTES, (index + 1) * RECORD_BYTES),
    )
  const sorted = sortRecords(records)
  expect(all(sorted)).toEqual(all(records).sort())
  expect(findDisorder(sorted)).toBeNull()
  expect(findDisorder(records)).not.toBeNull()
  expect(checksumOf(sorted)).toBe(checksumOf(records))
})

test('partitions are ranges of keys in ascending order', () => {
  const records = makeRecords(1_000)
  const parts = partition(records, 7)
  expect(parts).toHaveLength(7)
  expect(Buffer.concat(parts.map(sortRecords))).toEqual(sortRecords(records))
})

test('the checksum differs if one bit of one record does, and is the same for bytes that are not aligned', () => {
  const records = makeRecords(100)
  const shifted = Buffer.concat([Buffer.alloc(1), records]).subarray(1)
  expect(checksumOf(shifted)).toBe(checksumOf(records))
  shifted[5_432] = (shifted[5_432] ?? 0) ^ 1
  expect(checksumOf(shifted)).not.toBe(checksumOf(records))
})

test('a sort that loses, changes or misplaces records is found wrong', () => {
  const inputs = [{ records: 3, checksum: 12 }]
  const low: Sorted = { records: 2, checksum: 5, firstKey: '00', lastKey: '0f', disorder: null }
  const high: Sorted = { records: 1, checksum: 7, firstKey: '10', lastKey: '10', disorder: null }
  expect(faultsOf(inputs, [low, high])).toEqual([])
  expect(faultsOf(inputs, [high, low])).toEqual(['reducer 1 begins below the one before it'])
  expect(faultsOf(inputs, [low, { ...high, checksum: 8 }])).toEqual([
    'the records are not those of the input',
  ])
  expect(faultsOf(inputs, [{ ...low, disorder: 1 }, high])).toEqual(['record 1 of reducer 0 is out of order'])
  expect(faultsOf(inputs, [low])).toEqual([
    '2 records were put, not 3',
    'the records are not those of the input',
  ])
})

test('the functions of a sort leave nothing behind, and count the objects that they miss', async () => {
  const dir = await tempDir()
  const client = await openDisk(dir)
  const paramsOf = (number: number): SortParams => ({
    ...{ run: 'test', number, mappers: 2, reducers: 2, records: 500 },
  })
  const inputs = [await sortInput(client, paramsOf(0)), await sortInput(client, paramsOf(1))]
  expect([await sortMap(client, paramsOf(0)), await sortMap(client, paramsOf(1))]).toEqual([0, 0])
  expect(await sortMap(client, paramsOf(1)), 'its input is gone').toBe(1)
  expect(await sortReduce(client, paramsOf(0))).toBe(0)
  expect(await sortReduce(client, paramsOf(1))).toBe(0)
  expect(await sortReduce(client, paramsOf(1)), 'its partitions are gone').toBe(2)
  const outputs = [await sortCheck(client, paramsOf(0)), await sortCheck(client, paramsOf(1))]
  expect(faultsOf(inputs, outputs)).toEqual([])
  const left = await readdir(dir, { recursive: true, withFileTypes: true })
  expect(left.filter((entry) => entry.isFile())).toEqual([])
})

test('a linker that runs from the start takes every object file and finds what was compiled', async () => {
  const client = await openDisk(await tempDir())
  const sizes = { run: 'test', headerBytes: [20, 3], bytesMax: 5_000 }
  const params: ProgramParams = { ...sizes, sourceBytes: [10, 5_000, 1], objectBytes: [8, 70, 5_000] }
  await compileInput(client, params)
  const linked = link(client, params)
  for (const number of [2, 0, 1]) {
    const sourceBytes = params.sourceBytes[number] as number
    const objectBytes = params.objectBytes[number] as number
    expect(await compile(client, { ...sizes, number, sourceBytes, objectBytes })).toBe(0)
  }
  expect(await linked).toEqual({ lost: 0, program: programOf(params) })
  const unit = { ...sizes, number: 0, sourceBytes: 10, objectBytes: 8 }
  expect(await compile(client, unit), 'its source is gone').toBe(1)
})

test('on the local disk a key is taken as soon as it is given, and once', async () => {
  const dir = await tempDir()
  const [producer, consumer] = [await openDisk(dir), await openDisk(dir)]
  await producer.give('a/early', Buffer.from('early'))
  expect(String(await consumer.take('a/early'))).toBe('early')
  const late = [consumer.take('a/late/1'), consumer.take('a/late/2')]
  await producer.give('a/late/2', Buffer.from('second'))
  await producer.give('a/late/1', Buffer.from('first'))
  expect((await Promise.all(late)).map(String)).toEqual(['first', 'second'])
  for (const key of ['a/early', 'a/late/1']) {
    const error = await consumer.get(key).catch((error: unknown) => error)
    expect(isLost(error)).toBe(true)
  }
  await writeFile(join(dir, 'file'), '')
  const error = await consumer.get('file/below').catch((error: unknown) => error)
  expect(isLost(error), 'another error').toBe(false)
})

test('lost objects and faults fail the run, those of the warm-up too, and the cost is capacity times time', async () => {
  const server = await startDisk()
  onTestFinished(() => server.stop())
  const outcome = { figures: { ms: 500 }, clientCpuSeconds: 0, serverCpuSeconds: 0 }
  const measured = await measureJob(new Entrant('disk', server), 6 * 2 ** 20, {
    warmUp: async () => ({ ...outcome, lost: 1, failures: ['early'] }),
    run: async () => ({ ...outcome, lost: 2, failures: ['late'] }),
  })
  expect(measured.figures).toEqual({ ms: 500, 'MiB s': 3, lost: 3 })
  expect(measured.failures).toEqual(['3 objects were lost', 'early', 'late'])
})
