/** The reduce function: waits for what every mapper puts for it and merges it into one result. Its only input is a ticket. */
import { openJob } from 'mayfly'
import { claim } from './claim.ts'
import { keys, MAPPERS, type WordEntry } from './plan.ts'
import { Tally } from './tally.ts'

const job = await openJob(process.env.MAYFLY_TICKET ?? '')

const task = await claim(job, 'task/reduce/')
if (task === null) throw new Error('There is no reduce task left')
const reducer = Number(task)

const tally = new Tally()
for (let mapper = 0; mapper < MAPPERS; mapper++) {
  const partition = await job.get(keys.partition(mapper, reducer), { consume: true, waitSeconds: 600 })
  for (const [word, count, files] of JSON.parse(partition.toString()) as WordEntry[]) {
    tally.add(word, count, files)
  }
}
await job.put(keys.result(reducer), JSON.stringify(tally.entries()))
await job.close()
