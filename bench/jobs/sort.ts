import type { Entrant } from '../load/entrant.ts'
import { CHECKSUM_MODULUS, RECORD_BYTES } from '../tasks/jobs/records.ts'
import type { Sorted, SortParams, Summary } from '../tasks/jobs/sort.ts'
import { measureMapReduce, type Outcome, runStage, sumOf, WORKERS } from './measure.ts'

export interface SortSettings {
  readonly mappers: number
  readonly reducers: number
  readonly bytes: number
}

/** The input, and in each process the output of one function whose input is not deleted yet. */
export function sortCapacity(settings: SortSettings): number {
  const { mappers, reducers, bytes } = settings
  return Math.ceil(bytes + (2 * WORKERS * bytes) / Math.min(mappers, reducers))
}

/** Mappers partition records by key, reducers sort them. The output is checked against the input. */
export async function runSort(functions: Entrant, run: string, settings: SortSettings): Promise<Outcome> {
  const { mappers, reducers, bytes } = settings
  const records = Math.floor(bytes / mappers / RECORD_BYTES)
  const paramsOf = (number: number): SortParams => ({ run, number, mappers, reducers, records })
  const inputs = await runStage(functions, 'sortInput', { count: mappers, paramsOf })
  const measured = await measureMapReduce(functions, {
    map: () => runStage(functions, 'sortMap', { count: mappers, paramsOf }),
    reduce: () => runStage(functions, 'sortReduce', { count: reducers, paramsOf }),
    inputBytes: records * mappers * RECORD_BYTES,
  })
  if (measured.lost > 0) return { ...measured, failures: [] }
  const outputs = await runStage(functions, 'sortCheck', { count: reducers, paramsOf })
  return { ...measured, failures: faultsOf(inputs, outputs) }
}

/** Whether the outputs, one after the other, are the records of the inputs in order. */
export function faultsOf(inputs: readonly Summary[], outputs: readonly Sorted[]): string[] {
  const faults: string[] = []
  const [wanted, found] = [totalOf(inputs), totalOf(outputs)]
  if (found.records !== wanted.records)
    faults.push(`${found.records} records were put, not ${wanted.records}`)
  if (found.checksum !== wanted.checksum) faults.push('the records are not those of the input')
  let lastKey = ''
  for (const [reducer, output] of outputs.entries()) {
    if (output.disorder !== null)
      faults.push(`record ${output.disorder} of reducer ${reducer} is out of order`)
    if (output.records === 0) continue
    if (output.firstKey < lastKey) faults.push(`reducer ${reducer} begins below the one before it`)
    lastKey = output.lastKey
  }
  return faults
}

function totalOf(all: readonly Summary[]): Summary {
  return {
    records: sumOf(all.map(({ records }) => records)),
    checksum: sumOf(all.map(({ checksum }) => checksum)) % CHECKSUM_MODULUS,
  }
}
