import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { installPacked } from '../fixture/packed.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** A folder of a user, with both packages as they are published and the dependencies that they declare, and nothing else. */
let dir: string
let stop: () => Promise<void> = async () => undefined
/** For the command and for drivers: the environment of a shell after `eval "$(mayfly env)"`. */
let env: NodeJS.ProcessEnv

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mayfly-test-'))
  const command = await installPacked(dir)
  const args = [command, 'up', '--port', '0', '--dir', join(dir, 'state'), '--json']
  const child = spawn(process.execPath, args, { cwd: dir, stdio: ['ignore', 'pipe', 'inherit'] })
  stop = async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  }
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const { url, apiKey } = JSON.parse(await readFile(JSON.parse(line).credentials, 'utf8'))
  env = { PATH: process.env.PATH, HOME: dir, MAYFLY_URL: url, MAYFLY_API_KEY: apiKey, COMMAND: command }
})
afterAll(async () => {
  await stop()
  await rm(dir, { recursive: true, force: true })
})

/** Writes a program and runs it in the folder; resolves with what it printed. Warnings fail it. */
async function runFile(name: string, program: string): Promise<string> {
  await writeFile(join(dir, name), program)
  const { stdout, stderr } = await run(process.execPath, [join(dir, name)], {
    cwd: dir,
    env,
    timeout: 60_000,
  })
  expect(stderr).toBe('')
  return stdout.trim()
}

/** A driver that registers a job, writes and reads as a function of it, and ends it. */
const driver = `async function drive({ connect, openJob }) {
  const registered = await (await connect()).registerJob('packed', { capacityBytes: 16 * 2 ** 20 })
  const job = await openJob(registered.ticket)
  await job.putJson('k', { from: 'a function' })
  const { from } = await job.getJson('k', { consume: true })
  await job.close()
  await registered.deregister()
  return from
}`

test('a job runs from ES modules, CommonJS and a worker thread', async () => {
  const esm = `import * as sdk from 'mayfly'\n${driver}\nconsole.log(await drive(sdk))`
  expect(await runFile('esm.mjs', esm)).toBe('a function')
  expect(await runFile('common.cjs', `${driver}\ndrive(require('mayfly')).then(console.log)`)).toBe(
    'a function',
  )
  await writeFile(
    join(dir, 'worker.mjs'),
    `import { parentPort } from 'node:worker_threads'\nimport * as sdk from 'mayfly'\n${driver}\nparentPort.postMessage(await drive(sdk))`,
  )
  const parent = `import { Worker } from 'node:worker_threads'
    new Worker(new URL('worker.mjs', import.meta.url)).once('message', console.log)`
  expect(await runFile('parent.mjs', parent)).toBe('a function')
})

test.each(['esm', 'cjs'] as const)('a job runs from a bundle that esbuild makes as %s', async (format) => {
  const source = `import * as sdk from 'mayfly'\n${driver}\ndrive(sdk).then(console.log)`
  const { outputFiles, warnings } = await build({
    stdin: { contents: source, resolveDir: dir },
    bundle: true,
    platform: 'node',
    format,
    minify: true,
    write: false,
  })
  expect(warnings).toEqual([])
  const bundle = outputFiles[0]?.text ?? ''
  // Nothing is left to resolve but Node itself.
  expect(
    [...bundle.matchAll(/(?:from|require\()\s*["']([^"']+)["']/g)].filter(
      ([, name = '']) => !/^node:/.test(name) && name !== 'util',
    ),
  ).toEqual([])
  expect(await runFile(`bundle-${format}.${format === 'esm' ? 'mjs' : 'cjs'}`, bundle)).toBe('a function')
})

test('the command of the package talks to the cluster that it started', async () => {
  const mayfly = async (...args: string[]) =>
    (await run(process.execPath, [env.COMMAND as string, ...args], { cwd: dir, env })).stdout
  await mayfly('register', 'by-command')
  await writeFile(join(dir, 'file'), 'from a file')
  expect(await mayfly('put', 'by-command', 'k', 'file')).toBe('k: 11 B\n')
  expect(await mayfly('get', 'by-command', 'k')).toBe('from a file')
  await mayfly('end', 'by-command')
  expect(await mayfly('bench', 'eviction', '--tiny')).toContain('no call failed')
})

test('the types are those of the values, for ES modules and CommonJS', async () => {
  const lines = `
    const mayfly = await connect()
    const job = await mayfly.registerJob('n', { capacityBytes: 1 }, { leaseSeconds: 60 })
    const tier: 'ram' | 'ssd' | 's3' = job.reservation.latencyClass
    const opened: Job = await openJob(process.env.MAYFLY_TICKET)
    const value: { a: number } = await opened.getJson<{ a: number }>('k')
    const { version, metadata } = await opened.getWithMetadata('k')
    await opened.put('k', new DataView(new ArrayBuffer(1)), { ifVersion: version })
    // @ts-expect-error A Blob has no bytes yet.
    await opened.put('k', new Blob([]))
    // @ts-expect-error An unknown option.
    await opened.get('k', { consum: true })
    await using closed = await openJob()
    for (const { id, usage } of await mayfly.jobs()) console.log(id, usage.bytes.ram, tier, value, metadata, closed)
    const isOurs = (error: unknown) => error instanceof MayflyError && error.code === 'NOT_FOUND'
    console.log(isOurs)`
  const imported = "import { connect, type Job, MayflyError, openJob } from 'mayfly'\n"
  await writeFile(join(dir, 'esm.mts'), `${imported}${lines}`)
  await writeFile(join(dir, 'common.cts'), `${imported}async function main() {${lines}\n}\nvoid main()`)
  // The class of a job is a type alone.
  const value = "import { Job } from 'mayfly'\n// @ts-expect-error Job is no value.\nconsole.log(Job)\n"
  await writeFile(join(dir, 'value.mts'), value)
  const options = {
    ...{
      module: 'NodeNext',
      target: 'ES2022',
      lib: ['ES2023'],
      strict: true,
      noEmit: true,
      exactOptionalPropertyTypes: true,
    },
    ...{ types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
  }
  await writeFile(
    join(dir, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, include: ['*.mts', '*.cts'] }),
  )
  const tsc = join(root, 'node_modules/typescript-7/bin/tsc')
  const { stdout } = await run(process.execPath, [tsc, '-p', dir]).catch((error: { stdout: string }) => error)
  expect(stdout).toBe('')
})

test('publint finds nothing in either package', async () => {
  const publint = join(root, 'node_modules/publint/src/cli.js')
  for (const name of ['mayfly', 'mayfly-server'])
    expect(
      (await run(process.execPath, [publint, join(dir, 'node_modules', name), '--strict'])).stdout,
    ).toContain('All good!')
})
