import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'vitest'
import { installPacked } from '../fixture/packed.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { blocksOf } from './blocks.ts'
import { Stage } from './stage.ts'

test('the tutorial works from the packages as they are published, in a folder that has nothing else', {
  timeout: 900_000,
}, async () => {
  const dir = join(await tempDir(), 'folder')
  const command = await installPacked(dir)
  // It puts the README of the folder in which it is read.
  await cp(join(dir, 'node_modules/mayfly-server/README.md'), join(dir, 'README.md'))
  const stage = await Stage.open({ packed: { dir, command } })
  for (const block of blocksOf('docs/tutorial.md')) await stage.play(block)
  await stage.close()
})
