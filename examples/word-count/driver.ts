/**
 * Counts the words of every text file under node_modules, and notes for every word the files that it stands in: an
 * inverted index, by map and reduce. Start here, then read mapper.ts and reducer.ts.
 *
 * It needs a cluster: `mayfly demo` starts one for it; for one that runs, set MAYFLY_URL and MAYFLY_API_KEY.
 */
import { connect, type RegisteredJob } from 'mayfly'
import { findDifference } from './check.ts'
import { findFolder, readTextFiles } from './corpus.ts'
import { putInput } from './input.ts'
import { keys, MAPPERS, REDUCERS, type WordEntry } from './plan.ts'
import { formatReport } from './report.ts'
import { runStage, type StageReport } from './stage.ts'
import { countBytesLeft, watchStored } from './stored.ts'

const folder = findFolder('node_modules', import.meta.dirname)
const files = readTextFiles(folder)
const inputBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
console.log(`${files.length} text files, ${(inputBytes / 2 ** 20).toFixed(1)} MiB, under ${folder}`)

// Register the job. The hints tell Mayfly what to set aside for it. Every stage consumes what it reads, so the data
// of one stage goes as that of the next one comes: twice the input is ample. Should this process die, nobody uses
// the job any more, and a minute later its lease has lapsed and its data is gone.
const mayfly = await connect()
const job = await mayfly.registerJob(
  'word-count',
  {
    latencySensitive: true,
    maxFunctions: MAPPERS,
    capacityBytes: 2 * inputBytes,
    peakBytesPerSecond: 200_000_000,
  },
  { leaseSeconds: 60 },
)
const stages: StageReport[] = []
const { result, most } = await watchStored(mapAndReduce(job)).finally(() => job.deregister())
const bytesLeft = await countBytesLeft()

const difference = findDifference(files, result)
console.log(formatReport(stages, most, bytesLeft))
console.log(
  difference === null
    ? `${result.length} words: a single process counts the same, word for word`
    : `THE RESULT IS WRONG: ${difference}`,
)
process.exitCode = difference === null && bytesLeft === 0 ? 0 : 1

async function mapAndReduce(job: RegisteredJob): Promise<WordEntry[]> {
  // Put the input where the functions find it, and one task for each of them to claim.
  stages.push(await putInput(job, files))
  for (let i = 0; i < MAPPERS; i++) await job.put(keys.mapTask(i), String(i))
  for (let i = 0; i < REDUCERS; i++) await job.put(keys.reduceTask(i), String(i))

  stages.push(
    await runStage(job, {
      name: 'map',
      program: 'mapper.js',
      processes: MAPPERS,
      reads: 'input/',
      writes: 'map/',
    }),
  )
  stages.push(
    await runStage(job, {
      name: 'reduce',
      program: 'reducer.js',
      processes: REDUCERS,
      reads: 'map/',
      writes: 'result/',
    }),
  )

  const results = await Promise.all(Array.from({ length: REDUCERS }, (_, i) => job.get(keys.result(i))))
  return results.flatMap((bytes) => JSON.parse(bytes.toString()) as WordEntry[])
}
