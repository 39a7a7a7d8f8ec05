import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { LoneProcesses } from '../fixture/lone-processes.ts'
import { tempDir } from '../fixture/temp-dir.ts'

async function answerOf(address: string, path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://${address}${path}`)
  return { status: response.status, text: await response.text() }
}

test('each process runs by itself, serves its probes, and ends in order at SIGTERM', async () => {
  const processes = await LoneProcesses.prepare()
  const started = [await processes.controller(), await processes.metadata('m-1'), await processes.node()]
  for (const { probes } of started) {
    expect(await answerOf(probes, '/healthz')).toEqual({ status: 200, text: 'ok\n' })
    expect(await answerOf(probes, '/readyz')).toEqual({ status: 200, text: 'ok\n' })
    expect((await answerOf(probes, '/metrics')).text).toContain('mayfly_build_info{plane="')
    expect((await answerOf(probes, '/')).status).toBe(404)
  }
  const job = await registered(processes)
  await job.put('key', 'value')
  expect((await job.get('key')).toString()).toBe('value')
  expect((await answerOf(started[0]?.probes ?? '', '/metrics')).text).not.toContain(job.id)
  await job.deregister()
  await job.close()
  for (const each of started.reverse()) expect(await each.end('SIGTERM')).toBe(0)
})

/** A job; its registration waits until a node has joined. */
async function registered(processes: LoneProcesses) {
  const mayfly = await processes.connect()
  return await mayfly.registerJob('alone', { capacityBytes: 2 ** 26 }, { waitSeconds: 20 })
}

// It waits for two leases.
test('nodes that others start join, are emptied and told to end, and die by their lease alone', async () => {
  const processes = await LoneProcesses.prepare()
  await processes.controller()
  await processes.metadata('m-1')
  const first = await processes.node()
  const job = await registered(processes)
  for (let number = 0; number < 50; number++) await job.put(`key/${number}`, `value ${number}`)
  const second = await processes.node()
  // Until it has reported there is no room for what leaves the first.
  await expect.poll(() => states(processes)).toEqual(['active', 'active'])
  const drained = once(first.child, 'exit')
  const { nodes } = await ask<{ nodes: { id: string; address: string }[] }>(processes, '/v1/nodes')
  const { id } = nodes.find(({ address }) => address === first.address) ?? { id: '' }
  expect(await ask(processes, `/v1/nodes/${id}/drain`, 'POST')).toMatchObject({ state: 'draining' })
  expect(await drained).toEqual([0, null])
  for (let number = 0; number < 50; number++)
    expect((await job.get(`key/${number}`)).toString()).toBe(`value ${number}`)
  const third = await processes.node()
  await expect.poll(() => states(processes)).toEqual(['active', 'active'])
  await second.end('SIGKILL')
  await expect(job.get('key/1', { deadlineMs: 40_000 })).rejects.toMatchObject({ code: 'OBJECT_LOST' })
  await job.put('key/1', 'again', { deadlineMs: 40_000 })
  expect((await job.get('key/1')).toString()).toBe('again')
  await expect.poll(() => states(processes)).toEqual(['active', 'lost'])
  const { nodes: living } = await ask<{ nodes: { address: string; state: string }[] }>(processes, '/v1/nodes')
  expect(living.find(({ state }) => state === 'active')?.address).toBe(third.address)
  await job.close()
}, 300_000)

async function ask<Answer>(processes: LoneProcesses, path: string, method = 'GET'): Promise<Answer> {
  const headers = { authorization: `Bearer ${processes.apiKey}` }
  return (await (await fetch(new URL(path, processes.url), { method, headers })).json()) as Answer
}

async function states(processes: LoneProcesses): Promise<string[]> {
  const { nodes } = await ask<{ nodes: { state: string }[] }>(processes, '/v1/nodes')
  return nodes.map(({ state }) => state).sort()
}

test('a process that cannot start says why in one line and exits with 1', async () => {
  const processes = await LoneProcesses.prepare()
  await expect(processes.metadata('m-1')).rejects.toThrow('MAYFLY_CONTROLLER_URL is not set')
  await processes.controller()
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as { port: number }
  const settings = { MAYFLY_METADATA_ID: 'm-1', MAYFLY_DIR: await tempDir() }
  await expect(
    processes.start('metadata', { ...settings, MAYFLY_METRICS_LISTEN: `127.0.0.1:${port}` }),
  ).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken by another process`)
  await expect(processes.start('metadata', { ...settings, MAYFLY_LISTEN: '0.0.0.0:0' })).rejects.toThrow(
    'set MAYFLY_ADVERTISE',
  )
  taken.close()
})
