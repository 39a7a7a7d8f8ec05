import { type Job, MayflyError } from 'mayfly'

/**
 * Claims one of the tasks below `prefix`, and returns its content; null if none is left. Any number of processes may claim concurrently: `consume` reads and
 * removes a key in one step, so exactly one of them gets it. A task that is lost with a node is no task: the driver puts it again.
 */
export async function claim(job: Job, prefix: string): Promise<string | null> {
  for await (const { key } of job.list({ prefix, acceptHoles: true })) {
    try {
      return (await job.get(key, { consume: true })).toString()
    } catch (error) {
      // Another process has claimed this task first; the next one may still be there.
      if (!(error instanceof MayflyError) || !['NOT_FOUND', 'OBJECT_LOST'].includes(error.code)) throw error
    }
  }
  return null
}
