import { openers, type SystemName } from '../clients/open.ts'
import { type Params, runTask, type TaskName } from '../tasks/tasks.ts'
import type { Answer } from './driver.ts'

/** The program of a `Driver`: opens clients of one system, carries out on each of them the tasks that its parent sends, and exits with it. */
const [system, target = '', count] = process.argv.slice(2)
process.on('disconnect', () => process.exit(0))

const clients = await answering(async () => {
  const open = await openers[system as SystemName]()
  const opened = await Promise.all(Array.from({ length: Number(count) }, () => open(target)))
  return { answer: [], value: opened }
})

process.on('message', ({ name, params }: { name: TaskName; params: Params<TaskName> }) => {
  void answering(async () => {
    if (clients === null) throw new Error('there is no client')
    return { answer: await Promise.all(clients.map((client) => runTask(client, name, params))), value: null }
  })
})

/** Sends the results or the error to the parent. */
async function answering<Value>(
  work: () => Promise<{ answer: readonly unknown[]; value: Value }>,
): Promise<Value | null> {
  const tell = (answer: Answer): void => void process.send?.(answer)
  const before = process.cpuUsage()
  try {
    const { answer, value } = await work()
    const { user, system } = process.cpuUsage(before)
    tell({ type: 'done', results: answer, cpuSeconds: (user + system) / 1e6 })
    return value
  } catch (error) {
    tell({
      type: 'failed',
      message: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    })
    return null
  }
}
