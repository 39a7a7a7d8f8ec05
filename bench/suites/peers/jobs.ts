import { type ChainSettings, runChain } from '../../jobs/chain.ts'
import { type CompileSettings, compileCapacity, compileSizes, runCompile } from '../../jobs/compile.ts'
import { JOB_MS, jobColumns, measureJob, STEP_MS } from '../../jobs/measure.ts'
import { runSort, type SortSettings, sortCapacity } from '../../jobs/sort.ts'
import { corpusBytes, runWordCount } from '../../jobs/word-count.ts'
import { formatBytes } from '../../report/chart.ts'
import { type Row, suiteOf } from '../../report/comparison.ts'

const MIB = 2 ** 20

const full = {
  sort: { mappers: 32, reducers: 32, bytes: 2 * 2 ** 30 },
  files: Number.MAX_SAFE_INTEGER,
  compile: { units: 256, headers: 16 },
  chain: { functions: 20, ms: 5_000, warmUpMs: 2_000 },
}
/** Also warms the processes up before each measured job, but for the chain, which does so itself. */
const tiny = {
  sort: { mappers: 4, reducers: 4, bytes: 2 * MIB },
  files: 100,
  compile: { units: 20, headers: 4 },
  chain: { functions: 4, ms: 100, warmUpMs: 20 },
}

/** Of Redis the two libraries one of which is the best in nearly every row of `ops` from 64 KiB. */
export const jobs = suiteOf({
  summary:
    'whole jobs of function processes: a sort, a word count, a compile and a chain, against Redis, MinIO and the local disk',
  systems: ['mayfly', 'ioredis', 'node-redis', 's3', 'disk'],
  rounds: { full: 3, tiny: 1 },
  columns: jobColumns,
  judgedBy: JOB_MS,
  groups: (isTiny) => {
    const { sort, files, compile, chain } = isTiny ? tiny : full
    return [{ rows: [sortRow(sort), wordCountRow(files), compileRow(compile), chainRow(chain)] }]
  },
  goals: [
    {
      name: 'a step of the chain, p50',
      rows: (row) => row.startsWith('chain'),
      column: STEP_MS,
      unit: 'ms',
      atMost: 0.5,
      reachFor: 0.2,
    },
  ],
})

function sortRow(settings: SortSettings): Row {
  const { mappers, reducers, bytes } = settings
  return {
    name: `sort of ${formatBytes(bytes)}, ${mappers} mappers, ${reducers} reducers`,
    measure: (entrant) =>
      measureJob(entrant, sortCapacity(settings), {
        warmUp: (functions, run) => runSort(functions, run, tiny.sort),
        run: (functions, run) => runSort(functions, run, settings),
      }),
  }
}

/** Twice the input is ample, as in the example. */
function wordCountRow(files: number): Row {
  return {
    name: 'word count of node_modules',
    measure: (entrant) =>
      measureJob(entrant, 2 * corpusBytes(files), {
        warmUp: (functions, run) => runWordCount(functions, run, tiny.files),
        run: (functions, run) => runWordCount(functions, run, files),
      }),
  }
}

function compileRow(settings: CompileSettings): Row {
  const sizes = compileSizes(settings)
  const warm = { ...compileSizes(tiny.compile), bytesMax: sizes.bytesMax }
  return {
    name: `compile of ${settings.units} files and a link`,
    measure: (entrant) =>
      measureJob(entrant, compileCapacity(sizes), {
        warmUp: (functions, run) => runCompile(functions, run, warm),
        run: (functions, run) => runCompile(functions, run, sizes),
      }),
  }
}

function chainRow(settings: ChainSettings): Row {
  return {
    name: `chain of ${settings.functions} functions`,
    measure: (entrant) =>
      measureJob(entrant, MIB, { run: (functions, run) => runChain(functions, run, settings) }),
  }
}
