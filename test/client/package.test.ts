import { execFile } from 'node:child_process'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { Planes } from '../fixture/planes.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const run = promisify(execFile)
const client = new URL('../../client', import.meta.url).pathname

/** The package as it would be published, unpacked where nothing else can be resolved. */
async function install(): Promise<string> {
  const dir = await tempDir()
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', dir], { cwd: client })
  const { filename } = Object.values(JSON.parse(stdout.slice(stdout.search(/[[{]/))))[0] as {
    filename: string
  }
  await run('tar', ['-xzf', join(dir, filename), '-C', dir])
  await mkdir(join(dir, 'node_modules'))
  await rename(join(dir, 'package'), join(dir, 'node_modules', 'mayfly'))
  return dir
}

test('the published package has no dependency and is under 40 KB gzipped', async () => {
  const manifest = JSON.parse(await readFile(join(client, 'package.json'), 'utf8'))
  expect(manifest.dependencies).toBeUndefined()
  for (const file of ['index.js', 'index.cjs']) {
    expect(gzipSync(await readFile(join(client, 'dist', file))).length).toBeLessThan(40_000)
  }
})

test.each([
  ['import', 'function.mjs', "import { openJob } from 'mayfly'"],
  ['require', 'function.cjs', "const { openJob } = require('mayfly')"],
])(
  'a function that uses it by %s works alone, and an idle client keeps no process alive',
  async (_, file, line) => {
    const planes = await Planes.start()
    const ticket = await planes.createJob('j-1', [await planes.startNode()])
    const dir = await install()
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
      timeout: 10_000,
    })
    expect(stdout).toBe('from a function\n')
  },
)
