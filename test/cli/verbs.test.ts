import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buffer, text } from 'node:stream/consumers'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../../cli/config.ts'
import { runCommand } from '../../cli/run.ts'
import { openJob } from '../../client/index.ts'
import { type Cluster, sharedCluster } from '../fixture/mayfly-up.ts'
import { tempDir } from '../fixture/temp-dir.ts'

/** The command as `npm run build` made it. */
const command = join(import.meta.dirname, '../../dist/cli/main.js')

const shared = sharedCluster()
let cluster: Cluster

beforeAll(async () => {
  cluster = await shared()
})

interface Run {
  readonly input?: string | Buffer
  readonly env?: NodeJS.ProcessEnv
}

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [command, ...args], {
    env: {
      PATH: process.env.PATH,
      HOME: cluster.dir,
      MAYFLY_URL: cluster.url,
      MAYFLY_API_KEY: cluster.apiKey,
      ...env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  return child
}

async function run(args: readonly string[], { input = '', env }: Run = {}) {
  const child = start(args, env)
  child.stdin.end(input)
  const [bytes, err, [code]] = await Promise.all([
    buffer(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { code: code as number, bytes, out: bytes.toString(), err }
}

/** As `run`, in this process: for command lines that neither read standard input nor write bytes to standard output. */
async function call(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { dir: HOME, url: MAYFLY_URL, apiKey: MAYFLY_API_KEY } = cluster
  const out: string[] = []
  const err: string[] = []
  const code = await runCommand(args, readConfig({ HOME, MAYFLY_URL, MAYFLY_API_KEY, ...env }), {
    print: (line) => void out.push(`${line}\n`),
    printError: (line) => void err.push(`${line}\n`),
  })
  return { code, out: out.join(''), err: err.join('') }
}

/** Registers a job with a name of its own, and ends it after the test. */
async function register(name: string) {
  const job = await (await cluster.connect()).registerJob(name, { capacityBytes: 64 * 2 ** 20 })
  onTestFinished(() => job.deregister())
  return job
}

test('a job is put to, listed, read, removed by its name; what is not there is exit code 3', async () => {
  await register('by-name')
  const dir = await tempDir()
  const large = randomBytes(5 * 2 ** 20 + 17)
  await writeFile(join(dir, 'large'), large)
  expect(await call(['put', 'by-name', 'large', join(dir, 'large')])).toMatchObject({
    code: 0,
    out: 'large: 5.0 MiB\n',
  })
  expect(await run(['put', 'by-name', 'small'], { input: 'hello' })).toMatchObject({
    code: 0,
    out: 'small: 5 B\n',
  })
  expect((await call(['ls', 'by-name'])).out).toBe('   5.0 MiB  large\n       5 B  small\n')
  expect((await run(['get', 'by-name', 'small'])).out).toBe('hello')
  expect((await run(['get', 'by-name', 'large'])).bytes.equals(large)).toBe(true)
  expect((await call(['get', 'by-name', 'large', join(dir, 'copy')])).code).toBe(0)
  expect((await readFile(join(dir, 'copy'))).equals(large)).toBe(true)
  expect((await call(['stat', 'by-name', 'small', '--json'])).out).toContain('"bytes":5')
  expect((await call(['rm', 'by-name', 'small', 'none'])).code).toBe(3)
  for (const verb of ['get', 'stat'])
    expect(await call([verb, 'by-name', 'small'])).toMatchObject({ code: 3, out: '', err: /small/ })
  expect(await call(['ls', 'no-such-job'])).toMatchObject({
    code: 3,
    err: expect.stringContaining('mayfly jobs'),
  })
  expect(await call(['get', 'by-name', 'none', join(dir, 'kept')])).toMatchObject({ code: 3 })
  expect((await readdir(dir)).sort()).toEqual(['copy', 'large'])
})

test('put takes --ttl, --if-absent and --persist, get takes --wait and --consume', async () => {
  const { id } = await register('options')
  const put = (...args: string[]) => run(['put', 'options', 'k', ...args], { input: 'one' })
  expect((await put('--ttl', '10m', '--if-absent')).code).toBe(0)
  const stat = JSON.parse((await call(['stat', 'options', 'k', '--json'])).out)
  expect(Date.parse(stat.expiresAt) - Date.now()).toBeLessThanOrEqual(600_000)
  expect(await put('--if-absent')).toMatchObject({ code: 1, err: expect.stringContaining("(key 'k')") })
  const waiting = run(['get', 'options', 'later', '--wait', '60', '--consume'])
  await run(['put', 'options', 'later', '--persist'], { input: 'it came' })
  expect((await waiting).out).toBe('it came')
  expect((await call(['get', 'options', 'later'])).code).toBe(3)
  expect((await run(['put', 'options', 'rest', '--persist'], { input: 'stays' })).code).toBe(0)
  expect((await call(['kept', 'ls', `${id}/`])).out).toContain(`5 B  ${id}/default/rest`)
  expect((await run(['kept', 'get', `${id}/default/rest`])).out).toBe('stays')
})

test('get writes through a link, and into a pipe, which it does not replace', async () => {
  await register('special')
  const dir = await tempDir()
  const bytes = randomBytes(3 * 2 ** 20 + 1)
  await writeFile(join(dir, 'source'), bytes)
  await call(['put', 'special', 'k', join(dir, 'source')])
  await writeFile(join(dir, 'target'), 'before')
  await symlink('target', join(dir, 'link'))
  expect(await call(['get', 'special', 'k', join(dir, 'link')])).toMatchObject({ code: 0 })
  expect((await readFile(join(dir, 'target'))).equals(bytes)).toBe(true)
  expect((await lstat(join(dir, 'link'))).isSymbolicLink()).toBe(true)
  execFileSync('mkfifo', [join(dir, 'pipe')])
  const read = readFile(join(dir, 'pipe'))
  expect(await run(['get', 'special', 'k', join(dir, 'pipe')])).toMatchObject({ code: 0 })
  expect((await read).equals(bytes)).toBe(true)
  expect((await lstat(join(dir, 'pipe'))).isFIFO()).toBe(true)
})

test('a folder is put and got whole, and nothing is written outside of the folder', async () => {
  const job = await register('folders')
  const dir = await tempDir()
  await mkdir(join(dir, 'in/a/b'), { recursive: true })
  const files: Record<string, Buffer> = {
    'a/b/large': randomBytes(2 ** 20 + 1),
    'a/small': randomBytes(10),
    empty: Buffer.alloc(0),
  }
  for (const [path, bytes] of Object.entries(files)) await writeFile(join(dir, 'in', path), bytes)
  await symlink('small', join(dir, 'in/a/link'))
  expect(await call(['put', 'folders', 'tree', join(dir, 'in'), '-r'])).toMatchObject({
    code: 0,
    out: '4 files, 1.0 MiB\n',
  })
  expect(await call(['get', 'folders', 'tree/', join(dir, 'out'), '--recursive'])).toMatchObject({
    code: 0,
    out: '4 files, 1.0 MiB\n',
  })
  for (const [path, bytes] of Object.entries({ ...files, 'a/link': files['a/small'] as Buffer }))
    expect((await readFile(join(dir, 'out', path))).equals(bytes)).toBe(true)
  await job.put('tree/../../escaped', 'x')
  const refused = await call(['get', 'folders', 'tree', join(dir, 'again'), '-r'])
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringContaining('is no path of a file below the folder'),
  })
  expect((await readdir(dir)).sort()).toEqual(['in', 'out'])
  expect(await call(['put', 'folders', 'k', join(dir, 'in')])).toMatchObject({
    code: 1,
    err: expect.stringContaining('--recursive'),
  })
  expect(await call(['put', 'folders', 'k', join(dir, 'none')])).toMatchObject({
    code: 1,
    err: `mayfly: ${join(dir, 'none')} does not exist\n`,
  })
  expect(await call(['get', 'folders', 'nothing', join(dir, 'x'), '-r'])).toMatchObject({ code: 3 })
})

test('MAYFLY_TICKET takes the place of the job, without a key of the API', async () => {
  const { ticket } = await register('by-ticket')
  const env = { MAYFLY_TICKET: ticket, MAYFLY_URL: '', MAYFLY_API_KEY: '' }
  expect((await run(['put', 'k'], { input: 'x', env })).out).toBe('k: 1 B\n')
  expect((await run(['get', 'k'], { env })).out).toBe('x')
  expect((await call(['ls'], env)).out).toBe('       1 B  k\n')
  expect(await call(['get', 'by-ticket', 'k'], env)).toMatchObject({
    code: 3,
    err: expect.stringContaining('MAYFLY_TICKET is set'),
  })
})

test('a job is registered, resized, renewed, given a narrow ticket and ended by its name', async () => {
  const json = async (...args: string[]) => JSON.parse((await call([...args, '--json'])).out)
  const { id, reservation } = await json(
    'register',
    'life',
    '--hint',
    'capacityBytes=32MiB',
    '--lease-seconds',
    '5m',
  )
  const resized = await json('resize', 'life', '--hint', 'capacityBytes=96MiB')
  expect(resized.reservation.bytes.ram).toBeGreaterThan(reservation.bytes.ram)
  expect(await json('renew', 'life')).toMatchObject({ id, leaseSeconds: 300 })
  const reader = await openJob(
    (await call(['ticket', 'life', '--read', '--prefix', 'out/', '--seconds', '1h'])).out.trim(),
  )
  onTestFinished(() => reader.close())
  await expect(reader.put('out/k', 'x')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  await expect(reader.get('in/k')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  expect((await call(['bucket', 'create', 'life', 'scratch'])).code).toBe(0)
  await run(['put', 'life', 'k', '--bucket', 'scratch'], { input: 'x' })
  expect(await json('bucket', 'list', 'life')).toEqual(['default', 'scratch'])
  expect((await call(['bucket', 'delete', 'life', 'scratch'])).code).toBe(0)
  expect((await call(['ls', 'life', '-b', 'scratch'])).code).toBe(3)
  expect((await call(['end', 'life'])).out).toBe(`${id} has ended\n`)
  expect((await call(['renew', id])).err).toContain('Register the job again')
})

test('watch, top and logs show what happened, as lines and as JSON', async () => {
  const watching = start(['watch', '--type', 'job.ended', '--count', '1', '--json'])
  const lines = createInterface({ input: watching.stdout })[Symbol.asyncIterator]()
  const job = await register('watched')
  const top = (await run(['top'])).out
  expect(top).toMatch(/^NODE +CLASS/m)
  expect(top).toMatch(new RegExp(`^n-.* active .*watched \\(${job.id}\\)`, 'm'))
  expect(top).toMatch(new RegExp(`^\\d\\d:\\d\\d:\\d\\d {2}job\\.active .*job=${job.id} name=watched`, 'm'))
  const all = (await run(['watch', '--all', '--type', 'job.registering', '--count', '1'])).out
  expect(all).toMatch(/^\d\d:\d\d:\d\d {2}job\.registering {4}job=j-/)
  // The stream is open by now, or opens late: then the job ends again and again.
  const seen = lines.next()
  let ended = ''
  await expect
    .poll(async () => {
      ended = (await (await cluster.connect()).registerJob('ended')).id
      await call(['end', ended])
      return Promise.race([seen.then(() => true), new Promise((resolve) => setTimeout(resolve, 100, false))])
    })
    .toBe(true)
  expect(JSON.parse((await seen).value as string)).toMatchObject({
    type: 'job.ended',
    reason: 'deregistered',
  })
  const logs = await call(['logs', '--dir', cluster.dir, '--lines', '5'])
  expect(logs.out.trimEnd().split('\n').length).toBeLessThanOrEqual(5)
  expect((await call(['logs', '--dir', cluster.dir, '--process', 'controller'])).out).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} INFO {2}controller {6}ready address=/m,
  )
  expect(await call(['logs', '--dir', cluster.dir, '--process', 'nobody'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('there are controller, gateway, metadata-1'),
  })
})

test('open prints a link to the page that logs in once', async () => {
  const { page } = JSON.parse((await call(['open', '--json'])).out)
  const [address, code] = page.split('#code=')
  expect(address).toBe(`${cluster.url}/`)
  const login = () =>
    fetch(`${cluster.url}/console/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: cluster.url },
      body: JSON.stringify({ code }),
    })
  expect((await login()).status).toBeLessThan(300)
  expect((await login()).status).toBe(401)
  expect((await call(['open'])).out.startsWith(`${cluster.url}/#code=`)).toBe(true)
})

test('on a terminal top takes the whole screen until q, and progress is a bar; neither is in a pipe', async () => {
  await register('on-screen')
  const dir = await tempDir()
  await writeFile(join(dir, 'large'), randomBytes(48 * 2 ** 20))
  const onTerminal = async (line: string, keys = '', until = '') => {
    const env = {
      PATH: process.env.PATH,
      TERM: 'xterm-256color',
      HOME: cluster.dir,
      MAYFLY_URL: cluster.url,
      MAYFLY_API_KEY: cluster.apiKey,
    }
    // script (util-linux) runs a command on a terminal of its own.
    const child = spawn(
      'script',
      ['-qec', `stty rows 40 cols 200; ${process.execPath} ${command} ${line}`, '/dev/null'],
      { env },
    )
    let shown = ''
    let isAsked = false
    child.stdout.on('data', (bytes) => {
      shown += bytes
      if (isAsked || until === '' || !shown.includes(until)) return
      isAsked = true
      child.stdin.write(keys)
    })
    // At `exit` some of its output may still be in the pipe.
    const [code] = await once(child, 'close')
    return { code, shown }
  }
  const top = await onTerminal('top', 'q', 'on-screen')
  expect(top.code).toBe(0)
  // It enters the alternate screen, has colours, and leaves it at the end.
  expect(top.shown).toContain('\u001b[?1049h')
  expect(top.shown).toContain('\u001b[32mactive')
  expect(top.shown.lastIndexOf('\u001b[?1049l')).toBeGreaterThan(top.shown.lastIndexOf('\u001b[H'))
  const put = await onTerminal(`put on-screen large ${join(dir, 'large')}`)
  expect(put.shown).toMatch(/large [█░]{24} +\d+ % +[\d.]+ MiB/)
  expect((await run(['jobs'])).out).not.toContain('\u001b')
})
