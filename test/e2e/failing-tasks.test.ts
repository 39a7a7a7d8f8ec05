import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Job, openJob } from '../../client/job.ts'
import { Cluster } from '../fixture/mayfly-up.ts'

const MIB = 1024 * 1024
const GONE = 'The SSD tier cannot write (ENOENT)'

/** Puts so many objects. */
async function fill(job: Job, name: string, count: number, contents: Map<string, Buffer>): Promise<void> {
  for (let index = 0; index < count; index++) {
    const bytes = randomBytes(30_000)
    await job.put(`${name}/${index}`, bytes, { deadlineMs: 4_000 })
    contents.set(`${name}/${index}`, bytes)
  }
}

/** Of how many jobs each task fails now that has ever failed. */
async function tasksOf(cluster: Cluster, node: string): Promise<Record<string, number>> {
  const response = await fetch(new URL('/metrics', cluster.url), {
    headers: { authorization: `Bearer ${cluster.apiKey}` },
  })
  const line = new RegExp(`^mayfly_tasks_failing\\{process="${node}",task="(\\w+)"\\} (\\d+)$`, 'gm')
  const lines = (await response.text()).matchAll(line)
  return Object.fromEntries([...lines].map(([, task, failing]) => [task, Number(failing)]))
}

test('I21: a node whose disk takes nothing more goes on, and the controller says which of its tasks fail until it does again', async () => {
  const cluster = await Cluster.startSmall({ ramBytes: 16 * MIB, ssdBytes: 512 * MIB, nodesMax: 1 })
  const mayfly = await cluster.connect()
  const registered = await mayfly.registerJob('spills', { capacityBytes: 128 * MIB, peakBytesPerSecond: 1e8 })
  const job = await openJob(registered.ticket)
  const [node] = await cluster.nodesOf(registered)
  if (node === undefined) throw new Error('the job has a node')
  const folder = join(cluster.dir, 'ssd', node.id, registered.id)
  const contents = new Map<string, Buffer>()
  await fill(job, 'k', 700, contents)
  await expect.poll(() => existsSync(folder) && readdirSync(folder).length).toBeGreaterThan(1)
  // Files that are open stay so, as on a disk that was unmounted with force. No other can be created.
  renameSync(folder, `${folder}-away`)
  // The tier below RAM takes nothing, so puts fail once RAM has no room.
  await expect(fill(job, 'then', 1_500, contents)).rejects.toThrow()
  const failing = (task: string) => ({
    process: node.id,
    task,
    failing: 1,
    reason: expect.stringContaining(GONE),
  })
  expect(await cluster.event('task.failing', '"demotion"')).toMatchObject(failing('demotion'))
  // What is left of a file with much garbage would be written to another one.
  const onSsd: string[] = []
  for (const key of contents.keys()) if ((await job.stat(key))?.tier === 'ssd') onSsd.push(key)
  expect(onSsd.length).toBeGreaterThan(100)
  for (const key of onSsd.filter((_, index) => index % 2 === 0)) {
    await job.delete(key)
    contents.delete(key)
  }
  expect(await cluster.event('task.failing', '"compaction"')).toMatchObject(failing('compaction'))
  await expect.poll(() => tasksOf(cluster, node.id)).toMatchObject({ compaction: 1 })
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)

  renameSync(`${folder}-away`, folder)
  // Puts make the node demote again.
  await expect.poll(() => fill(job, 'more', 300, contents).then(() => true, String)).toBe(true)
  for (const task of ['demotion', 'compaction'])
    expect(await cluster.event('task.recovered', `"${task}"`)).toMatchObject({ process: node.id, task })
  await expect.poll(() => tasksOf(cluster, node.id)).toMatchObject({ demotion: 0, compaction: 0 })
  await expect.poll(() => readdirSync(folder)).not.toContain('0.segment')
  for (const [key, bytes] of contents) expect((await job.get(key)).equals(bytes)).toBe(true)
  expect(await cluster.nodes()).toMatchObject([{ id: node.id, pid: node.pid, state: 'active' }])
  await job.close()
})
