import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'vitest'
import { tempDir } from '../fixture/temp-dir.ts'
import { blocksOf, root } from './blocks.ts'
import { Stage } from './stage.ts'

const run = promisify(execFile)

/** What git would commit, in a folder of its own, with the dependencies that `npm ci` installs; nothing is built. */
async function cloneTree(): Promise<string> {
  const clone = join(await tempDir(), 'mayfly')
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = await run('git', list, { cwd: root, maxBuffer: 2 ** 24 })
  for (const path of stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))) {
    await mkdir(join(clone, dirname(path)), { recursive: true })
    await cp(join(root, path), join(clone, path))
  }
  const modules = join(clone, 'node_modules')
  await mkdir(modules)
  for (const name of await readdir(join(root, 'node_modules')))
    if (name !== '.cache') await symlink(join(root, 'node_modules', name), join(modules, name))
  await rm(join(modules, 'mayfly'))
  await symlink(join(clone, 'client'), join(modules, 'mayfly'))
  return clone
}

test('the README and the tutorial work in a clean clone, as they are pasted', {
  timeout: 900_000,
}, async () => {
  const clone = await cloneTree()
  for (const page of ['README.md', 'docs/tutorial.md']) {
    const stage = await Stage.open({ clone })
    for (const block of blocksOf(page)) await stage.play(block)
    await stage.close()
  }
})
