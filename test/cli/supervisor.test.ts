import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { defaultConfig } from '../../cli/up/config/cluster-config.ts'
import { Supervisor } from '../../cli/up/supervisor.ts'
import { systemRuntime } from '../../protocol/runtime.ts'
import type { FromChild } from '../../service/process/supervision.ts'
import { writeFakePlanes } from './fake-planes.ts'

let dir: string
let lines: string[]
const supervisors: Supervisor[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mayfly-test-'))
  lines = []
})
afterEach(async () => {
  await Promise.all(supervisors.splice(0).map((supervisor) => supervisor.stop()))
  rmSync(dir, { recursive: true })
})

function supervise({
  port = 0,
  brokenMetadata = false,
  metadataServers = 1,
  environment = {} as NodeJS.ProcessEnv,
} = {}): Supervisor {
  const supervisor = new Supervisor({
    dir: join(dir, 'state'),
    port,
    s3Port: 0,
    config: { ...defaultConfig, metadataServers },
    environment: { PATH: process.env.PATH, ...environment },
    programs: writeFakePlanes(join(dir, 'planes'), { brokenMetadata }),
    runtime: systemRuntime,
    say: (line) => lines.push(line),
  })
  supervisors.push(supervisor)
  return supervisor
}

interface Seen {
  readonly heard: { type: string; node?: string; pid?: number; reason?: string; nodes?: { node: string }[] }[]
}

/** The bound ends a test that hangs; the awaited change takes milliseconds. */
const waitFor = <Result>(check: () => Result | Promise<Result>): Promise<Result> =>
  vi.waitFor(check, { timeout: 30_000 })
const ask = async (url: string, path = '/'): Promise<Seen> =>
  (await fetch(url + path)).json() as Promise<Seen>
const tell = (url: string, message: FromChild): Promise<Seen> =>
  ask(url, `/tell?message=${encodeURIComponent(JSON.stringify(message))}`)
const hears = async (url: string, type: string, node?: string): Promise<Seen['heard'][number]> =>
  waitFor(async () => {
    const found = (await ask(url)).heard.find((each) => each.type === type && (!node || each.node === node))
    return found ?? expect.fail(`no ${type} for ${node}`)
  })
const runs = (pid: number): boolean => existsSync(`/proc/${pid}/stat`)
const state = (name: string): string => join(dir, 'state', name)

test('a started cluster has its credentials, secret and config in files that only the owner reads', async () => {
  const { url, apiKey, credentialsFile } = await supervise().start()
  expect(JSON.parse(readFileSync(credentialsFile, 'utf8'))).toEqual({ url, apiKey })
  expect(readFileSync(state('cluster-secret'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/)
  expect(readFileSync(state('api-key'), 'utf8')).toBe(`${apiKey}\n`)
  const { s3, database, metadataServers, network: _, ...cluster } = defaultConfig
  expect(metadataServers).toBe(1)
  expect([s3, database]).toEqual([null, null])
  expect(JSON.parse(readFileSync(state('cluster.json'), 'utf8'))).toEqual(cluster)
  for (const name of ['credentials.json', 'cluster-secret', 'api-key'])
    expect(statSync(state(name)).mode & 0o777).toBe(0o600)
  expect(statSync(state('')).mode & 0o777).toBe(0o700)
})

test('secret, key and the metadata port stay over a restart of the cluster', async () => {
  const before = supervise()
  const { apiKey } = await before.start()
  const port = readFileSync(state('metadata-1/port'), 'utf8')
  const secret = readFileSync(state('cluster-secret'), 'utf8')
  await before.stop()
  expect((await supervise().start()).apiKey).toBe(apiKey)
  expect(readFileSync(state('metadata-1/port'), 'utf8')).toBe(port)
  expect(readFileSync(state('cluster-secret'), 'utf8')).toBe(secret)
})

test('a metadata port that somebody else has meanwhile is given up for another', async () => {
  const before = supervise()
  await before.start()
  await before.stop()
  const port = Number(readFileSync(state('metadata-1/port'), 'utf8'))
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve))
  await supervise().start()
  other.close()
  expect(Number(readFileSync(state('metadata-1/port'), 'utf8'))).not.toBe(port)
  expect(lines).toEqual([expect.stringContaining(`port ${port}`)])
})

test('metadata servers have folders and ports of their own, and those that have a folder come back', async () => {
  const before = supervise({ metadataServers: 2 })
  const { url } = await before.start()
  await tell(url, { type: 'startMetadata', metadata: 'm-3' })
  await tell(url, { type: 'startMetadata', metadata: 'm-3' })
  const ports = (): string[] =>
    [1, 2, 3].map((number) => readFileSync(state(`metadata-${number}/port`), 'utf8'))
  await waitFor(() => expect(new Set(ports()).size).toBe(3))
  const kept = ports()
  await before.stop()
  await supervise().start()
  expect(ports()).toEqual(kept)
  expect(lines).toEqual([])
})

test('a metadata server that there cannot be is refused with a line', async () => {
  const { url } = await supervise().start()
  await tell(url, { type: 'startMetadata', metadata: 'm-99' })
  await waitFor(() =>
    expect(lines).toEqual([
      "the metadata server m-99 could not be started: There can be no metadata server 'm-99'",
    ]),
  )
})

test('a taken port is named, and nothing is left', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  const supervisor = supervise({ port })
  await expect(supervisor.start()).rejects.toThrow(`Port ${port} is taken`)
  await supervisor.stop()
  other.close()
  expect(existsSync(state('lock'))).toBe(false)
  expect(existsSync(state('credentials.json'))).toBe(false)
})

test('two clusters do not share a folder', async () => {
  await supervise().start()
  const second = supervise()
  await expect(second.start()).rejects.toThrow(`Process ${process.pid} runs a cluster in`)
  await second.stop()
  expect(existsSync(state('lock'))).toBe(true)
})

test('a server that cannot start says why', async () => {
  await expect(supervise({ brokenMetadata: true }).start()).rejects.toThrow('The disk is full')
})

test('nodes that the controller asks for before it serves are told its address', async () => {
  const { url } = await supervise().start()
  const { pid } = await hears(url, 'nodeStarted', 'n-warm')
  const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  expect(environment).toEqual(
    expect.arrayContaining([
      `MAYFLY_CONTROLLER_URL=${url}`,
      'MAYFLY_NODE_ID=n-warm',
      'MAYFLY_NODE_CLASS=local',
      'MAYFLY_NODE_RAM_BYTES=1073741824',
      'MAYFLY_NODE_BYTES_PER_SECOND=1000000000',
      'MAYFLY_LISTEN=127.0.0.1:0',
      `MAYFLY_SECRET_FILE=${state('cluster-secret')}`,
    ]),
  )
})

test('the controller hears of every node that starts, stops, is killed or cannot start', async () => {
  const { url } = await supervise().start()
  const { pid } = await hears(url, 'nodeStarted', 'n-warm')
  await tell(url, { type: 'startNode', node: 'n-1', class: 'local' })
  await hears(url, 'nodeStarted', 'n-1')
  await tell(url, { type: 'listNodes' })
  await waitFor(async () => {
    const lists = (await ask(url)).heard.filter(({ type }) => type === 'nodes')
    expect(lists.map(({ nodes }) => nodes?.map(({ node }) => node))).toEqual([[], ['n-warm', 'n-1']])
  })

  process.kill(pid ?? 0, 'SIGKILL')
  expect(await hears(url, 'nodeExited', 'n-warm')).toMatchObject({ reason: 'SIGKILL' })
  await tell(url, { type: 'stopNode', node: 'n-1' })
  expect(await hears(url, 'nodeExited', 'n-1')).toMatchObject({ type: 'nodeExited' })
  await tell(url, { type: 'stopNode', node: 'n-never' })
  expect(await hears(url, 'nodeExited', 'n-never')).toMatchObject({ reason: 'it does not run' })
  await tell(url, { type: 'startNode', node: 'n-2', class: 'none' })
  expect(await hears(url, 'nodeExited', 'n-2')).toMatchObject({ reason: "there is no node class 'none'" })
})

test('the log of a node goes when it stops, and stays when it failed', async () => {
  const { url } = await supervise().start()
  const { pid } = await hears(url, 'nodeStarted', 'n-warm')
  await tell(url, { type: 'startNode', node: 'n-1', class: 'local' })
  await hears(url, 'nodeStarted', 'n-1')
  await tell(url, { type: 'stopNode', node: 'n-1' })
  process.kill(pid ?? 0, 'SIGKILL')
  await hears(url, 'nodeExited', 'n-1')
  await hears(url, 'nodeExited', 'n-warm')
  expect(readdirSync(state('logs')).sort()).toEqual([
    'controller.log',
    'gateway.log',
    'metadata-1.log',
    'n-warm.log',
  ])
})

test('a controller that dies is started again at its port, and its nodes live on', async () => {
  const { url } = await supervise().start()
  const { pid } = await hears(url, 'nodeStarted', 'n-warm')
  await expect(ask(url, '/die')).rejects.toThrow()
  await waitFor(() => ask(url))
  expect((await hears(url, 'nodes')).nodes).toEqual([{ node: 'n-warm', pid }])
  expect(lines).toEqual(['the controller died (exit code 3); starting it again'])
})

test('a controller that dies again and again is started again, and its nodes live on', async () => {
  const { url } = await supervise().start()
  const { pid } = await hears(url, 'nodeStarted', 'n-warm')
  for (let deaths = 1; deaths <= 6; deaths++) {
    await expect(ask(url, '/die')).rejects.toThrow()
    await waitFor(() => ask(url))
  }
  expect((await hears(url, 'nodes')).nodes).toEqual([{ node: 'n-warm', pid }])
  expect(lines).toEqual(
    Array.from({ length: 5 }, () => 'the controller died (exit code 3); starting it again'),
  )
})

test('stopping ends every process and gives the lock back', async () => {
  const supervisor = supervise()
  const { url } = await supervisor.start()
  const { pid } = await hears(url, 'nodeStarted', 'n-warm')
  await supervisor.stop()
  expect(runs(pid ?? 0)).toBe(false)
  await expect(fetch(url)).rejects.toThrow()
  expect(existsSync(state('lock'))).toBe(false)
})

test('a cluster can be stopped while it starts', async () => {
  const supervisor = supervise()
  const started = supervisor.start()
  const refused = expect(started).rejects.toThrow()
  await supervisor.stop()
  await refused
  expect(existsSync(state('lock'))).toBe(false)
})

test.each([
  ['the folder', ''],
  ['the secret', 'cluster-secret'],
  ['the API key', 'api-key'],
  ['the credentials', 'credentials.json'],
])('a cluster does not start where other users can read %s, and says which path it is', async (_, name) => {
  const first = supervise()
  await first.start()
  await first.stop()
  chmodSync(state(name), 0o755)
  const path = state(name).replace(/\/$/, '')
  await expect(supervise().start()).rejects.toThrow(`Other users may read or change ${path}`)
  expect(existsSync(state('lock'))).toBe(false)
})

test('processes inherit what they need of the environment, and no credentials of other programs', async () => {
  const { url } = await supervise({
    environment: { AWS_SECRET_ACCESS_KEY: 'x', MAYFLY_API_KEY: 'y', TZ: 'UTC' },
  }).start()
  const { pid } = await hears(url, 'nodeStarted', 'n-warm')
  const names = readFileSync(`/proc/${pid}/environ`, 'utf8')
    .split('\0')
    .map((each) => each.split('=')[0])
  expect(names).toEqual(expect.arrayContaining(['PATH', 'TZ', 'MAYFLY_NODE_ID']))
  expect(names).not.toContain('AWS_SECRET_ACCESS_KEY')
  expect(names).not.toContain('MAYFLY_API_KEY')
})
