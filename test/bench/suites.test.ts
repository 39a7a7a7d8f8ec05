import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { processTree } from '../../bench/probes/process-stat.ts'
import { isRunning } from '../fixture/mayfly-up.ts'
import { needPeer } from '../fixture/peers.ts'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const command = new URL('../../dist/cli/main.js', import.meta.url).pathname

/** Number of rows of each suite on tiny inputs, and its servers. */
const suites = {
  ops: { rows: 12, servers: ['Mayfly', 'Redis', 'MinIO', 'limit'] },
  tls: { rows: 12, servers: ['Mayfly', 'Redis'] },
  limit: { rows: 12, servers: ['limit'] },
  fanin: { rows: 6, servers: ['Mayfly', 'Redis'] },
  many: { rows: 4, servers: ['Mayfly', 'Redis', 'MinIO'] },
  wait: { rows: 2, servers: ['Mayfly', 'Redis', 'MinIO'] },
  shuffle: { rows: 1, servers: ['Mayfly', 'Redis', 'MinIO'] },
  traces: { rows: 3, servers: ['Mayfly', 'Redis', 'MinIO'] },
  memory: { rows: 2, servers: ['Mayfly', 'Redis'] },
  coldstart: { rows: 1, servers: ['Mayfly', 'Redis', 'MinIO'] },
  release: { rows: 1, servers: ['Mayfly'] },
  list: { rows: 2, servers: ['Mayfly'] },
  jobs: { rows: 4, servers: ['Mayfly', 'Redis', 'MinIO', 'local'] },
}

for (const [name, { rows, servers }] of Object.entries(suites)) {
  test(`the ${name} suite measures every system on tiny inputs, and no answer is wrong`, async (context) => {
    needPeer('redis', context)
    needPeer('minio', context)
    const dir = await tempDir()
    const args = [command, 'bench', name, '--tiny', '--json', '--results', dir]
    const { stdout } = await runProgram(args)
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ suite: name, notes: [], failures: [] })
    expect(report.rows).toHaveLength(rows * servers.length)
    for (const server of servers) {
      const lines = report.rows.filter(([, system]: string[]) => system?.split(' ')[0] === server)
      expect(lines, server).toHaveLength(rows)
    }
    const files = await readdir(dir)
    expect(files.map((file) => file.split('.').at(-1)).sort()).toEqual(['html', 'json'])
    await expectSelfContained(join(dir, files.find((file) => file.endsWith('.html')) ?? ''))
  })
}

test('the gateway suite measures the gateway and MinIO on tiny inputs, and no call fails', async (context) => {
  needPeer('minio', context)
  const args = [command, 'bench', 'gateway', '--tiny', '--json', '--results', await tempDir()]
  const report = JSON.parse((await runProgram(args)).stdout)
  expect(report).toMatchObject({ suite: 'gateway', notes: [], failures: [] })
  const systems = report.rows.map(([, system]: string[]) => system)
  expect(systems.filter((system: string) => system === 'Mayfly')).toHaveLength(14)
  expect(systems.filter((system: string) => system === 'MinIO')).toHaveLength(12)
})

test('the elasticity suite sees nodes come with jobs and load, and no call fails without a controller', async () => {
  const dir = await tempDir()
  const args = [command, 'bench', 'elasticity', '--tiny', '--json', '--results', dir]
  const { stdout } = await runProgram(args)
  const report = JSON.parse(stdout)
  expect(report).toMatchObject({ suite: 'elasticity', notes: [], failures: [] })
  expect(report.goals).toHaveLength(5)
  const { threeJobs, doubling, dead } = report.measurements
  expect(threeJobs.jobs.map((job: { nodesAfter: number }) => job.nodesAfter)).toEqual([3, 6, 9])
  expect(doubling.scaledOutMs).toBeGreaterThan(2_000)
  expect(dead).toHaveLength(1)
  const page = (await readdir(dir)).find((file) => file.endsWith('.html')) ?? ''
  await expectSelfContained(join(dir, page))
}, 180_000)

test('a peer that is not installed is named, and the rest is measured without it', async () => {
  const args = [command, 'bench', 'shuffle', '--tiny', '--json', '--results', await tempDir()]
  const env = { ...process.env, PATH: '/nowhere', XDG_CACHE_HOME: '/nowhere', MAYFLY_MINIO: '' }
  const { stdout, stderr } = await runProgram(args, { env })
  const report = JSON.parse(stdout)
  expect(stderr).toContain('redis-server is not on the PATH')
  expect(report.notes).toEqual([
    expect.stringContaining('Redis is missing'),
    expect.stringContaining('MinIO is missing'),
  ])
  expect(report.rows).toHaveLength(1)
  expect(report.goals.map(({ verdict }: { verdict: string }) => verdict)).toEqual([
    'not measured',
    'not measured',
  ])
})

test('a bench that is told to stop leaves no process behind', async () => {
  const child = spawn(process.execPath, [command, 'bench', 'ops', '--tiny', '--results', await tempDir()])
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stderr })) if (line.includes('get at 1')) break
  const pids = await processTree(child.pid as number)
  expect(pids.length).toBeGreaterThan(5)
  child.kill('SIGTERM')
  expect(await exited).toEqual([130, null])
  expect(pids.filter(isRunning)).toEqual([])
})

async function expectSelfContained(file: string): Promise<void> {
  const page = await readFile(file, 'utf8')
  expect(page).toContain('<table>')
  expect(page).toContain('<svg')
  expect(page).not.toMatch(/(src|href)=|url\(|@import|NaN|Infinity|undefined/)
}
