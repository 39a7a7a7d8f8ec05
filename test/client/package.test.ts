import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { installSdk } from '../fixture/packed.ts'
import { Planes } from '../fixture/planes.ts'

const run = promisify(execFile)
const client = new URL('../../client', import.meta.url).pathname

/** A folder with the package as it is published, from which nothing else can be resolved. */
let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mayfly-test-'))
  await installSdk(dir)
})
afterAll(() => rm(dir, { recursive: true }))

test('the published package has no dependency and is under 43 KB gzipped', async () => {
  const manifest = JSON.parse(await readFile(join(client, 'package.json'), 'utf8'))
  expect(manifest.dependencies).toBeUndefined()
  for (const file of ['index.js', 'index.cjs']) {
    expect(gzipSync(await readFile(join(client, 'dist', file))).length).toBeLessThan(43_000)
  }
})

test('an error of the ESM build is one of the CommonJS build as well, and the other way round', async () => {
  const program = `import * as esm from 'mayfly'
    import { createRequire } from 'node:module'
    const cjs = createRequire(import.meta.url)('mayfly')
    const errors = await Promise.all([esm, cjs].map((sdk) => sdk.openJob('no ticket').catch((error) => error)))
    const many = [esm, cjs].map((sdk) => new sdk.PutManyError(errors[0], errors))
    const others = [new Error('x'), null, 'x', {}]
    console.log(JSON.stringify([esm, cjs].map((sdk) => [
      [...errors, ...many].map((error) => error instanceof sdk.MayflyError),
      many.map((error) => error instanceof sdk.PutManyError),
      [...errors, ...others].map((error) => error instanceof sdk.PutManyError),
      others.map((error) => error instanceof sdk.MayflyError),
      esm.MayflyError === cjs.MayflyError,
    ])))`
  await writeFile(join(dir, 'both.mjs'), program)
  const { stdout } = await run(process.execPath, [join(dir, 'both.mjs')], { timeout: 30_000 })
  const one = [
    new Array(4).fill(true),
    [true, true],
    new Array(6).fill(false),
    new Array(4).fill(false),
    false,
  ]
  expect(JSON.parse(stdout)).toEqual([one, one])
})

test('a process that has too many files open is told so, by every call', async () => {
  const planes = await Planes.start()
  const ticket = await planes.createJob('j-1', [await planes.startNode()])
  const program = `import { openSync } from 'node:fs'
    import { connect, openJob } from 'mayfly'
    const job = await openJob(process.env.MAYFLY_TICKET)
    const mayfly = await connect(process.env.MAYFLY_URL, { apiKey: 'key-0123456789abcdef' })
    await mayfly.registerJob('n').catch(() => undefined)
    try { for (;;) openSync('/dev/null') } catch {}
    const deadlineMs = 1_000
    const calls = [() => job.get('k', { deadlineMs }), () => mayfly.registerJob('n', {}, { deadlineMs })]
    for (const call of calls) console.log((await call().catch((error) => error)).message)`
  await writeFile(join(dir, 'full.mjs'), program)
  const { stdout } = await run('bash', ['-c', `ulimit -n 64; exec ${process.execPath} full.mjs`], {
    cwd: dir,
    env: { MAYFLY_TICKET: ticket, MAYFLY_URL: `http://${planes.metadataAddress}` },
    timeout: 30_000,
  })
  const lines = stdout.trim().split('\n')
  expect(lines).toHaveLength(2)
  for (const line of lines) expect(line).toMatch(/too many files open \(EMFILE\).*ulimit -n/)
})

test.each([
  ['import', 'function.mjs', "import { openJob } from 'mayfly'"],
  ['require', 'function.cjs', "const { openJob } = require('mayfly')"],
])(
  'a function that uses it by %s works alone, and an idle client keeps no process alive',
  async (_, file, line) => {
    const planes = await Planes.start()
    const ticket = await planes.createJob('j-1', [await planes.startNode()])
    await writeFile(
      join(dir, file),
      `${line}
    openJob(process.env.MAYFLY_TICKET).then(async (job) => {
      await job.put('k', 'from a function')
      console.log((await job.get('k')).toString())
    })`,
    )
    const { stdout } = await run(process.execPath, [join(dir, file)], {
      env: { MAYFLY_TICKET: ticket },
      timeout: 30_000,
    })
    expect(stdout).toBe('from a function\n')
  },
)

test('the class of its errors has the name that users catch', async () => {
  const program = `import { MayflyError, openJob } from 'mayfly'
    console.log(MayflyError.name, (await openJob('no ticket').catch((error) => error)).constructor.name)`
  await writeFile(join(dir, 'name.mjs'), program)
  const { stdout } = await run(process.execPath, [join(dir, 'name.mjs')], { timeout: 30_000 })
  expect(stdout).toBe('MayflyError MayflyError\n')
})

test('the package of the server has the command with all it starts, docs and licences, and no source', async () => {
  const root = new URL('../..', import.meta.url).pathname
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root })
  const [packed] = Object.values(JSON.parse(stdout.slice(stdout.search(/[[{]/)))) as {
    files: { path: string }[]
  }[]
  const paths = packed?.files.map(({ path }) => path) ?? []
  const programs = ['cli', 'controller', 'metadata', 'storage-node'].map((plane) => `dist/${plane}/main.js`)
  const wanted = ['package.json', 'README.md', 'LICENSE', 'docs/README.md', 'dist/licenses.txt', ...programs]
  expect(wanted.filter((path) => !paths.includes(path))).toEqual([])
  expect(
    paths.filter(
      (path) =>
        !/^(dist\/.*\.js|dist\/licenses\.txt|dist\/console\/.*|docs\/.*|bench\/traces\/.*\.csv|package\.json|README\.md|LICENSE)$/.test(
          path,
        ),
    ),
  ).toEqual([])
})

test('the package of the server has what it bundles under its licence, and depends on nothing but the addon and the SDK', async () => {
  const root = new URL('../..', import.meta.url).pathname
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  expect(Object.keys(dependencies)).toEqual(['better-sqlite3', 'mayfly'])
  const licenses = await readFile(join(root, 'dist/licenses.txt'), 'utf8')
  for (const name of ['fastify', 'pino', 'pg', '@aws-sdk/client-s3', '@kubernetes/client-node'])
    expect(licenses).toMatch(new RegExp(`^${name} [\\d.]+: (MIT|Apache-2\\.0)$`, 'm'))
  expect(licenses).toMatch(/copyright.*The Fastify team/i)
})
