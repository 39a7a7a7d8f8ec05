import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { runCommand } from '../../cli/run.ts'
import { DrainProgress } from '../../cli/terminal/drain-progress.ts'
import { DRAIN_STALL_MS_MAX } from '../../protocol/limits.ts'

const MIB = 1024 * 1024
const servers: ReturnType<typeof createServer>[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

type Seen = { state: string; left?: { jobs: number; objects: number; usedBytes: number } } | null | 'down'

/** A controller that returns the next of `looks` at each query: null if the node is not listed, `down` if nobody answers. */
async function controller(looks: Seen[]): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const seen = looks.length > 1 ? looks.shift() : looks[0]
    if (seen === 'down') return void request.socket.destroy()
    const node = seen && { id: 'n-1', ...seen }
    const body = request.method === 'POST' ? node : { nodes: node ? [node] : [] }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

async function drain(url: string, args: string[] = [], draw?: (line: string) => void) {
  const out: string[] = []
  const err: string[] = []
  const config = {
    url,
    apiKey: 'key',
    stateDir: '/nonexistent',
    environment: {},
    ticket: undefined,
    caFile: undefined,
    configDir: '/nonexistent',
  }
  const code = await runCommand(['drain', 'n-1', ...args], config, {
    print: (text) => out.push(text),
    printError: (text) => err.push(text),
    ...(draw && { redraw: draw }),
  })
  return { code, out, err }
}

const left = (jobs: number, objects: number, mib: number): Seen => ({
  state: 'draining',
  left: { jobs, objects, usedBytes: mib * MIB },
})

test('drain shows what is left each time that it changes, until the process has stopped', async () => {
  const { url, asked } = await controller([
    left(2, 40, 8),
    left(2, 40, 8),
    left(1, 10, 2),
    left(0, 0, 0),
    null,
  ])
  const { code, out, err } = await drain(url)
  expect([code, err]).toEqual([0, []])
  expect(out).toEqual([
    'n-1 drains: 2 jobs, 40 objects and 8.0 MiB are left',
    'n-1 drains: 1 job, 10 objects and 2.0 MiB are left',
    'n-1 drains: 0 jobs, 0 objects and 0 B are left',
    'n-1 is empty and has stopped',
  ])
  expect(asked[0]).toBe('POST /v1/nodes/n-1/drain')
})

test('drain draws a bar on a terminal, and wipes it at the end', async () => {
  const { url } = await controller([left(1, 40, 8), left(1, 10, 2), null])
  const drawn: string[] = []
  const { out } = await drain(url, [], (line) => drawn.push(line))
  expect(drawn).toEqual([
    `n-1 ${'░'.repeat(24)}   0 %  1 job, 40 objects and 8.0 MiB are left`,
    `n-1 ${'█'.repeat(18)}${'░'.repeat(6)}  75 %  1 job, 10 objects and 2.0 MiB are left`,
    '',
  ])
  expect(out).toEqual(['n-1 is empty and has stopped'])
})

test('drain speaks JSON, a line for each change, also on a terminal', async () => {
  const { url } = await controller([left(1, 2, 1), null])
  const drawn: string[] = []
  const { out } = await drain(url, ['--json'], (line) => drawn.push(line))
  expect(out.map((line) => JSON.parse(line))).toEqual([
    { event: 'draining', node: 'n-1', jobs: 1, objects: 2, usedBytes: MIB },
    { event: 'stopped', node: 'n-1' },
  ])
  expect(drawn).toEqual([])
})

test('drain outlasts a controller that starts again', async () => {
  const { url } = await controller([left(1, 2, 1), 'down', 'down', { state: 'draining' }, null])
  expect((await drain(url)).code).toBe(0)
})

test('drain of a node that dies meanwhile is one clear line and exit code 1', async () => {
  const { url } = await controller([left(1, 2, 1), { state: 'lost' }])
  const { code, out, err } = await drain(url)
  expect(code).toBe(1)
  expect(err).toEqual([
    expect.stringMatching(/^mayfly: Node n-1 died while it drained.* run its producer again\.$/),
  ])
  expect(out).toEqual(['n-1 drains: 1 job, 2 objects and 1.0 MiB are left'])
})

test('a drain is stalled when nothing got less for the bound, however it changes', () => {
  const progress = new DrainProgress('n-1', 0)
  const note = (objects: number, atMs: number): boolean =>
    progress.note({ jobs: 1, objects, usedBytes: 5 }, atMs)
  expect(note(10, 0)).toBe(true)
  expect(note(10, 10)).toBe(false)
  expect(note(12, DRAIN_STALL_MS_MAX)).toBe(true)
  expect(progress.isStalled(DRAIN_STALL_MS_MAX)).toBe(false)
  expect(progress.isStalled(DRAIN_STALL_MS_MAX + 1)).toBe(true)
  expect(note(11, DRAIN_STALL_MS_MAX + 2)).toBe(true)
  expect(progress.isStalled(DRAIN_STALL_MS_MAX + 2)).toBe(true)
  expect(note(9, DRAIN_STALL_MS_MAX + 3)).toBe(true)
  expect(progress.isStalled(DRAIN_STALL_MS_MAX + 3)).toBe(false)
})
