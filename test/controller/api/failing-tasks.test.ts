import { expect, test } from 'vitest'
import type { TaskReport } from '../../../protocol/operations/reports.ts'
import { readEvents } from '../support/event-stream.ts'
import { World } from '../support/world.ts'

const refused = 'S3 refuses accessKeyId and secretAccessKey'

/** A task that fails for `failing` jobs, after `failures` failures. */
const task = (name: string, failures: number, failing: number): TaskReport => ({
  task: name,
  failures,
  failing,
  reason: failing > 0 ? refused : '',
})

/** The lines of the metrics about tasks of this process. */
async function metricsOf(world: World, process: string): Promise<string[]> {
  const { text } = await world.ask('/metrics')
  return text
    .split('\n')
    .filter((line) => /^mayfly_tasks?_fail/.test(line) && line.includes(`process="${process}"`))
    .map((line) => line.replace(`process="${process}",`, ''))
    .sort()
}

/** The first `count` events about tasks. */
async function taskEvents(world: World, count: number) {
  const counted = async (): Promise<number> => {
    const { text } = await world.ask('/metrics')
    return [...text.matchAll(/^mayfly_events_total\{type="[^"]*"\} (\d+)$/gm)].reduce(
      (sum, [, number]) => sum + Number(number),
      0,
    )
  }
  const { events } = await readEvents(world, await counted(), { 'last-event-id': '0' })
  const ofTasks = events.filter(({ event }) => event.startsWith('task.'))
  expect(ofTasks).toHaveLength(count)
  return ofTasks.map(({ event, data: { at: _, ...data } }) => [event, data] as const)
}

async function start() {
  const world = await World.start({ warmNodes: 1 })
  const [{ id: node } = { id: '' }] = await world.nodes()
  const says = async (process: string, ...tasks: TaskReport[]) => {
    world.tasks.set(process, tasks)
    const told = process === node ? world.report(node) : world.reportMetadata(process)
    expect((await told).status).toBe(200)
  }
  return { world, node, says }
}

test('I21: a background task that fails on a node is an event when it begins and when it ends, and a metric all the time', async () => {
  const { world, node, says } = await start()
  await says(node, task('demotion', 1, 1))
  expect(await metricsOf(world, node)).toEqual([
    'mayfly_task_failures_total{task="demotion"} 1',
    'mayfly_tasks_failing{task="demotion"} 1',
  ])
  const began = { process: node, task: 'demotion', failing: 1, reason: refused }
  expect(await taskEvents(world, 1)).toEqual([['task.failing', began]])

  await says(node, task('demotion', 9, 3), task('sweep', 2, 0))
  expect(await metricsOf(world, node)).toEqual([
    'mayfly_task_failures_total{task="demotion"} 9',
    'mayfly_task_failures_total{task="sweep"} 2',
    'mayfly_tasks_failing{task="demotion"} 3',
    'mayfly_tasks_failing{task="sweep"} 0',
  ])
  await says(node, task('demotion', 12, 0), task('sweep', 5, 2))
  expect(await metricsOf(world, node)).toEqual([
    'mayfly_task_failures_total{task="demotion"} 12',
    'mayfly_task_failures_total{task="sweep"} 5',
    'mayfly_tasks_failing{task="demotion"} 0',
    'mayfly_tasks_failing{task="sweep"} 2',
  ])
  expect(await taskEvents(world, 3)).toEqual([
    ['task.failing', began],
    ['task.failing', { process: node, task: 'sweep', failing: 2, reason: refused }],
    ['task.recovered', { process: node, task: 'demotion' }],
  ])
})

test('the tasks of each process are told apart, and those of one that has ended are gone', async () => {
  const { world, node, says } = await start()
  await says(node, task('heartbeat', 4, 1))
  await says('m-1', task('heartbeat', 7, 2))
  expect(await taskEvents(world, 2)).toEqual([
    ['task.failing', { process: node, task: 'heartbeat', failing: 1, reason: refused }],
    ['task.failing', { process: 'm-1', task: 'heartbeat', failing: 2, reason: refused }],
  ])
  world.fleet.kill(node)
  await expect.poll(() => metricsOf(world, node)).toEqual([])
  expect(await metricsOf(world, 'm-1')).toEqual([
    'mayfly_task_failures_total{task="heartbeat"} 7',
    'mayfly_tasks_failing{task="heartbeat"} 2',
  ])
})

test('a metadata server that was started again under its name does not fail for ever at what its predecessor failed', async () => {
  const { world, says } = await start()
  await says('m-1', task('drive', 7, 2), task('plan', 1, 0))
  await says('m-1')
  expect(await metricsOf(world, 'm-1')).toEqual([])
  await says('m-1', task('drive', 1, 1))
  expect(await taskEvents(world, 3)).toEqual([
    ['task.failing', { process: 'm-1', task: 'drive', failing: 2, reason: refused }],
    ['task.recovered', { process: 'm-1', task: 'drive' }],
    ['task.failing', { process: 'm-1', task: 'drive', failing: 1, reason: refused }],
  ])
})
