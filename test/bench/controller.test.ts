import { expect, test } from 'vitest'
import { runProgram } from '../fixture/run-program.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const main = new URL('../../dist/bench/main.js', import.meta.url).pathname

test('the controller suite packs every mix, by Mayfly and by each rule beside it', async () => {
  const { stdout } = await runProgram([main, 'controller', '--tiny', '--results', await tempDir()])
  for (const mix of ['uniform', 'two kinds', 'heavy tail', 'pocket']) expect(stdout).toContain(`| ${mix} `)
  expect(stdout).toContain('no more nodes than best fit, on every mix')
})

test('the enforcement suite floods a node: nothing fails, and the result names both jobs', async () => {
  const { stdout } = await runProgram([main, 'enforcement', '--tiny', '--results', await tempDir()])
  expect(stdout).toContain('no call failed, no answer was wrong')
  expect(stdout).toContain('job with half, beside the flooder')
  const kinds = ['get', 'put', 'append', 'stat', 'statOfRuns', 'getMany', 'putMany', 'deleteMany', 'list']
  for (const kind of kinds) expect(stdout).toContain(`bystander beside a flood of ${kind}`)
})
