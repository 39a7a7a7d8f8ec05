/** The reduce function: waits for what every mapper puts for it and merges it into one result. Its only input is a ticket. */
import { MayflyError, openJob } from 'mayfly'
import { claim } from './claim.ts'
import { keys, MAPPERS, type WordEntry } from './plan.ts'
import { Tally } from './tally.ts'

const job = await openJob(process.env.MAYFLY_TICKET ?? '')

const task = await claim(job, 'task/reduce/')
if (task === null) throw new Error('There is no reduce task left')
const reducer = Number(task)

const tally = new Tally()
const partitions = Array.from({ length: MAPPERS }, (_, mapper) => keys.partition(mapper, reducer))
for (const key of partitions) {
  for (const [word, count, files] of JSON.parse((await read(key)).toString()) as WordEntry[]) {
    tally.add(word, count, files)
  }
}
await job.put(keys.result(reducer), JSON.stringify(tally.entries()))
await job.deleteMany(partitions)
await job.close()

/** Of a partition that is lost with a node some chunks may be left. Without them the driver sees that its mapper has to run again. */
async function read(key: string): Promise<Buffer> {
  try {
    return await job.get(key, { waitSeconds: 600 })
  } catch (error) {
    if (error instanceof MayflyError && error.code === 'OBJECT_LOST') await job.delete(key)
    throw error
  }
}
