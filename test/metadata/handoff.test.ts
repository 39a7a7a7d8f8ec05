import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Job } from '../../client/job.ts'
import { placementOperations } from '../../protocol/operations/plane-operations.ts'
import { open, Planes, type RunningNode } from '../fixture/planes.ts'

const capacityBytes = 64 * 1024 * 1024

/** Moves the job to `to` alone; the other nodes retain their budget until they are empty. */
async function moveTo(planes: Planes, to: RunningNode, nodes: readonly RunningNode[]): Promise<void> {
  const shares = nodes.map(({ id, address }) => ({
    node: id,
    address,
    weight: id === to.id ? 1 : 0,
    ramBytes: capacityBytes,
    ssdBytes: 0,
    s3Bytes: 0,
    bytesPerSecond: 1e6,
  }))
  await planes.ask(placementOperations.jobShares, { job: 'j-1', readsPerThousand: null, shares })
}

async function emptied({ node }: RunningNode): Promise<void> {
  await expect.poll(() => node.report(1).length, { interval: 20 }).toBe(0)
}

async function startTwo() {
  const planes = await Planes.start()
  const nodes = [await planes.startNode(), await planes.startNode()] as const
  const ticket = await planes.createJob('j-1', [nodes[0]], { capacityBytes })
  return { planes, nodes, ticket, job: await open(ticket) }
}

test('slots move to another node with everything in them, and the node that had them is empty', async () => {
  const { planes, nodes, ticket, job } = await startTwo()
  const objects = new Map<string, Buffer>()
  for (let i = 0; i < 300; i++) objects.set(`k/${i}`, randomBytes(i * 37))
  for (const [key, object] of objects) await job.put(key, object, { metadata: { key } })
  const large = randomBytes(5_000_000)
  await job.put('large', large)
  const log = Buffer.concat(Array.from({ length: 40 }, () => randomBytes(60_000)))
  for (let offset = 0; offset < log.length; offset += 60_000) {
    expect(await job.append('log', log.subarray(offset, offset + 60_000))).toBe(
      Math.min(log.length, offset + 60_000),
    )
  }
  const version = (await job.stat('k/7'))?.version as number
  await moveTo(planes, nodes[1], nodes)
  await emptied(nodes[0])
  const late = await open(ticket)
  for (const reader of [job, late]) {
    for (const [key, object] of objects) expect((await reader.get(key)).equals(object)).toBe(true)
    expect((await reader.get('large')).equals(large)).toBe(true)
    expect((await reader.get('log')).equals(log)).toBe(true)
  }
  expect(await job.stat('k/7')).toMatchObject({ version, metadata: { key: 'k/7' } })
  await job.put('k/7', 'by version', { ifVersion: version })
  await expect(job.put('k/7', 'late', { ifVersion: version })).rejects.toMatchObject({
    code: 'VERSION_MISMATCH',
  })
  const listed = []
  for await (const { key } of job.list()) listed.push(key)
  expect(listed.sort()).toEqual([...objects.keys(), 'large', 'log'].sort())
  expect(nodes[0].node.ram.usedBytes).toBe(0)
})

test('functions that put, get, append, consume and wait notice nothing of slots that move to and fro', async () => {
  const { planes, nodes, job } = await startTwo()
  const failures: unknown[] = []
  let running = true
  let calls = 0
  const worker = async (id: number): Promise<void> => {
    for (let i = 0; running; i++) {
      const key = `w/${id}/${i % 20}`
      const value = `${id}/${i}/${'x'.repeat(1000)}`
      try {
        await job.put(key, value)
        if ((await job.get(key)).toString() !== value) failures.push(`${key}: a wrong answer`)
        const waiting = job.get(`${key}/wait`, { waitSeconds: 10, consume: true })
        await job.put(`${key}/wait`, value)
        if ((await waiting).toString() !== value) failures.push(`${key}: a wrong answer to a wait`)
        if ((await job.append(`log/${id}`, 'y')) !== i + 1) failures.push(`${key}: a wrong length`)
        calls++
      } catch (error) {
        failures.push(error)
      }
    }
  }
  const workers = Array.from({ length: 8 }, (_, id) => worker(id))
  for (const target of [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]) {
    await moveTo(planes, nodes[target] as RunningNode, nodes)
    await emptied(nodes[1 - target] as RunningNode)
  }
  running = false
  await Promise.all(workers)
  expect(failures).toEqual([])
  expect(calls).toBeGreaterThan(100)
})

test('when the node that still has the bytes dies, exactly the entries that were not pulled are lost', async () => {
  const { planes, nodes, job } = await startTwo()
  await fill(job)
  await moveTo(planes, nodes[1], nodes)
  await nodes[0].stop()
  await planes.ask(placementOperations.nodesDied, { nodes: [nodes[0].id] })
  const results = await Promise.allSettled(Array.from({ length: 200 }, (_, i) => job.get(`k/${i}`)))
  const codes = new Set(results.map((result) => (result.status === 'rejected' ? result.reason.code : 'ok')))
  expect([...codes].filter((code) => code !== 'ok' && code !== 'OBJECT_LOST')).toEqual([])
  for (const [i, result] of results.entries()) {
    if (result.status === 'fulfilled') expect(result.value.equals(Buffer.alloc(50_000, i))).toBe(true)
  }
  for (let i = 0; i < 200; i++) await job.put(`k/${i}`, 'again')
  expect((await job.get('k/3')).toString()).toBe('again')
})

async function fill(job: Job): Promise<void> {
  await Promise.all(Array.from({ length: 200 }, (_, i) => job.put(`k/${i}`, Buffer.alloc(50_000, i))))
}

test('slots whose index the target has no memory for are served where they were', async () => {
  const planes = await Planes.start()
  const small = await planes.startNode(2 * 1024 * 1024)
  const source = await planes.startNode()
  const job = await open(await planes.createJob('j-1', [source], { capacityBytes }))
  const long = 'k'.repeat(400)
  const keys = Array.from({ length: 12_000 }, (_, index) => `${long}${index}`)
  for (let at = 0; at < keys.length; at += 1_000)
    await job.putMany(keys.slice(at, at + 1_000).map((key) => ({ key, bytes: 'x' })))
  await moveTo(planes, small, [small, source])
  const released = () => [...(source.node.jobs.get('j-1')?.released.keys() ?? [])].length
  const refused = () => small.node.jobs.get('j-1')?.owned.refused
  await expect
    .poll(() => Array.from({ length: 64 }, (_, slot) => refused()?.get(slot) ?? 0).some((epoch) => epoch > 0))
    .toBe(true)
  // Every key is read, from a slot that has moved or from one that was given back.
  for (let at = 0; at < keys.length; at += 1_000) {
    const values = await job.getMany(keys.slice(at, at + 1_000), { deadlineMs: 8_000 })
    expect(values.every((value) => String(value) === 'x')).toBe(true)
  }
  await expect.poll(released).toBe(0)
})
