import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { root } from './blocks.ts'

test('the pages of the SDK are built from its comments, without a warning', async () => {
  const out = await tempDir()
  const typedoc = join(root, 'node_modules/typedoc/bin/typedoc')
  const options = ['--options', join(root, 'typedoc.json'), '--out', out, '--treatWarningsAsErrors']
  await runProgram([typedoc, ...options])
  for (const page of ['interfaces/Job.html', 'interfaces/Mayfly.html', 'functions/connect.html'])
    expect(existsSync(join(out, page)), page).toBe(true)
})
