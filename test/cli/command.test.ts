import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { sharedCluster } from '../fixture/mayfly-up.ts'
import { sharedS3 } from '../fixture/s3.ts'

const startS3 = sharedS3()
/** For tests that do not end it. */
const shared = sharedCluster()

/** The built command, as a user runs it. */
const command = join(import.meta.dirname, '../../dist/cli/main.js')

let dir: string
const started: ChildProcess[] = []

function start(args: string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  const child = spawn(process.execPath, [command, ...args], {
    env: { PATH: process.env.PATH, HOME: dir, TMPDIR: dir, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  started.push(child)
  return child
}

async function run(args: string[], { input = '', env = {} as NodeJS.ProcessEnv } = {}) {
  const child = start(args, env)
  if (!child.stdin || !child.stdout || !child.stderr) throw new Error('the child has its pipes')
  child.stdin.end(input)
  const [out, err, [code]] = await Promise.all([
    buffer(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { code: code as number | null, out, err }
}

/** Starts a cluster; resolves with its child process and its output. */
async function up(state: string, port = 0) {
  const child = start(['up', '--port', String(port), '--dir', state, '--json'])
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  return { child, ...(JSON.parse(String(line)) as { event: string; url: string; credentials: string }) }
}

/** Processes that have the folder in their environment, which are those of its cluster. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`=${folder}`)
    } catch (error) {
      // The process exited while the list was read, or belongs to another user.
      return (error as NodeJS.ErrnoException).code === undefined
    }
  })
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit')
  child.kill(signal)
  return ((await exited) as [number | null])[0]
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'mayfly-test-'))
})
afterEach(async () => {
  for (const child of started.splice(0))
    if (child.exitCode === null && child.signalCode === null) await stop(child, 'SIGTERM')
  rmSync(dir, { recursive: true, force: true })
})

test('up says on one line that it is ready, and Ctrl-C leaves no process and no lock', async () => {
  const state = join(dir, 'state')
  const { child, event, url, credentials } = await up(state)
  expect(event).toBe('ready')
  expect(credentials).toBe(join(state, 'credentials.json'))
  expect(JSON.parse(readFileSync(credentials, 'utf8'))).toMatchObject({ url })
  expect(processesOf(state).length).toBeGreaterThanOrEqual(2)
  expect(await stop(child, 'SIGINT')).toBe(0)
  expect(processesOf(dir)).toEqual([])
  expect(existsSync(join(state, 'lock'))).toBe(false)
})

test('only the owner may read or change what a cluster writes into its folder', async () => {
  const { dir: state } = await shared()
  await run(['register', 'job', '--dir', state])
  const files = readdirSync(state, { recursive: true, encoding: 'utf8' }).map((name) => join(state, name))
  expect(files.filter((file) => file.endsWith('.sqlite')).length).toBe(2)
  expect(files.filter((file) => (statSync(file).mode & 0o077) !== 0)).toEqual([])
})

test('a taken port is one clear line and exit code 1, with nothing left behind', async () => {
  const port = Number(new URL((await shared()).url).port)
  const state = join(dir, 'second')
  const { code, out, err } = await run(['up', '--port', String(port), '--dir', state])
  expect(code).toBe(1)
  expect(String(out)).toBe('')
  expect(err).toMatch(new RegExp(`^mayfly: Port ${port} on 127.0.0.1 is taken .*\n$`))
  expect(processesOf(state)).toEqual([])
  expect(existsSync(join(state, 'lock'))).toBe(false)
})

test.for([
  ['a bucket that is missing', { bucket: 'not-there' }, /^mayfly: .*'not-there' .* does not exist.*\n$/],
  ['a wrong secret', { secretAccessKey: 'wrong-wrong-wrong' }, /^mayfly: .*secretAccessKey.*\n$/],
  ['an endpoint that is not there', { endpoint: 'http://127.0.0.1:1' }, /^mayfly: .*cannot be reached.*\n$/],
] as const)(
  'with S3 behind %s, up says so on one clear line and ends with nothing left behind',
  async ([, wrong, line], context) => {
    const config = join(dir, 'config.json')
    writeFileSync(config, JSON.stringify({ s3: { ...(await startS3(context)), ...wrong } }), { mode: 0o600 })
    const state = join(dir, 'state')
    const { code, out, err } = await run(['up', '--port', '0', '--dir', state, '--config', config])
    expect(code).toBe(1)
    expect(String(out)).toBe('')
    expect(err).toMatch(line)
    expect(processesOf(state)).toEqual([])
    expect(existsSync(join(state, 'lock'))).toBe(false)
  },
)

test('a second cluster in the same folder is one clear line and exit code 1', async () => {
  const { pid, dir: state } = await shared()
  const { code, err } = await run(['up', '--port', '0', '--dir', state])
  expect(code).toBe(1)
  expect(err).toMatch(new RegExp(`^mayfly: Process ${pid} runs a cluster in ${state}.*\n$`))
})

test('when the supervisor is killed its processes end by themselves, and the folder can be used again', async () => {
  const state = join(dir, 'state')
  const { child } = await up(state)
  await stop(child, 'SIGKILL')
  await vi.waitFor(() => expect(processesOf(state)).toEqual([]), { timeout: 30_000 })
  const again = await up(state)
  expect(again.event).toBe('ready')
})

test('Ctrl-C while the cluster starts leaves nothing', async () => {
  const state = join(dir, 'state')
  const child = start(['up', '--port', '0', '--dir', state])
  await vi.waitFor(() => expect(existsSync(join(state, 'cluster.json'))).toBe(true), {
    timeout: 30_000,
    interval: 5,
  })
  expect(await stop(child, 'SIGINT')).toBe(0)
  expect(processesOf(dir)).toEqual([])
  expect(existsSync(join(state, 'lock'))).toBe(false)
})

test('up that npx started ends when npx is terminated', async () => {
  const state = join(dir, 'state')
  const child = spawn('npx', ['mayfly', 'up', '--port', '0', '--dir', state, '--json'], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, HOME: dir, TMPDIR: dir },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  await once(child.stdout, 'data')
  expect(processesOf(state).length).toBeGreaterThanOrEqual(2)
  await stop(child, 'SIGTERM')
  await vi.waitFor(() => expect(processesOf(state)).toEqual([]), { timeout: 30_000 })
  await vi.waitFor(() => expect(existsSync(join(state, 'lock'))).toBe(false), { timeout: 30_000 })
})

test('a config with a mistake is one line that names the field', async () => {
  const config = join(dir, 'mayfly.json')
  writeFileSync(config, '{ "warmNodes": -1 }')
  const { code, err } = await run(['up', '--port', '0', '--dir', join(dir, 'state'), '--config', config])
  expect(code).toBe(1)
  expect(err).toContain(`mayfly: config file ${config}: warmNodes: it is -1`)
  expect(existsSync(join(dir, 'state'))).toBe(false)
})

test('Ctrl-C in the demo leaves no process and no temporary file', async () => {
  const child = start(['demo'])
  await vi.waitFor(() => expect(processesOf(dir).length).toBeGreaterThanOrEqual(5), { timeout: 30_000 })
  expect(await stop(child, 'SIGINT')).toBe(130)
  await vi.waitFor(() => expect(processesOf(dir)).toEqual([]), { timeout: 30_000 })
  expect(readdirSync(dir)).toEqual([])
})

test('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  expect(String((await run(['--version'])).out)).toBe(`${version}\n`)
})
