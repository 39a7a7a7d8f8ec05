import { openers, type SystemName } from '../clients/open.ts'
import { type Params, runTask, type TaskName } from '../tasks/tasks.ts'
import type { Answer } from './driver.ts'

/** The program of a `Driver`: opens a client of one system, carries out the tasks that its parent sends, and exits with it. */
const [system, target = ''] = process.argv.slice(2)
process.on('disconnect', () => process.exit(0))

const client = await answering(async () => {
  const open = await openers[system as SystemName]()
  const opened = await open(target)
  return { answer: null, value: opened }
})

process.on('message', ({ name, params }: { name: TaskName; params: Params<TaskName> }) => {
  void answering(async () => {
    if (client === null) throw new Error('there is no client')
    return { answer: await runTask(client, name, params), value: null }
  })
})

/** Sends the result or the error to the parent. */
async function answering<Value>(
  work: () => Promise<{ answer: unknown; value: Value }>,
): Promise<Value | null> {
  const tell = (answer: Answer): void => void process.send?.(answer)
  const before = process.cpuUsage()
  try {
    const { answer, value } = await work()
    const { user, system } = process.cpuUsage(before)
    tell({ type: 'done', result: answer, cpuSeconds: (user + system) / 1e6 })
    return value
  } catch (error) {
    tell({
      type: 'failed',
      message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    })
    return null
  }
}
