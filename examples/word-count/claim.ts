import { type Job, MayflyError } from 'mayfly'

/**
 * Takes one of the tasks below `prefix`, and returns what it says; null if none is left. Any number of processes
 * may claim at the same time: `consume` reads and removes a key in one step, so exactly one of them gets it.
 */
export async function claim(job: Job, prefix: string): Promise<string | null> {
  for await (const { key } of job.list({ prefix })) {
    try {
      return (await job.get(key, { consume: true })).toString()
    } catch (error) {
      // Another process was quicker; perhaps the next task is still there.
      if (!(error instanceof MayflyError) || error.code !== 'NOT_FOUND') throw error
    }
  }
  return null
}
