import { expect, test } from 'vitest'
import { findPythonS3, pythonS3Missing } from '../../bench/servers/python-s3.ts'
import { Cluster } from '../fixture/mayfly-up.ts'
import { blocksOf, pages, placeOf, prose } from './blocks.ts'
import { Stage } from './stage.ts'
import { faultsOfTypes } from './types.ts'

/** The pages that begin with a clone of the repository; `clone.test.ts` plays them there. */
const ofClone = ['README.md', 'docs/tutorial.md']
/** Its machines are made by `hosts.test.ts`. */
const ofMachines = 'docs/hosts.md'

/** Pages about a Kubernetes; `test/machines` plays them on one. */
const ofKubernetes = ['docs/kubernetes.md']

const all = pages().flatMap(blocksOf)

/** How many blocks may not run, in all pages. Each says why in its info string. */
const SKIPPED_MAX = 13

test('blocks that do not run name the reason, and are few', () => {
  const skipped = all.filter(({ skip }) => skip !== null)
  for (const block of skipped) console.log(`${placeOf(block)} does not run: ${block.skip}`)
  expect(skipped.length).toBeLessThanOrEqual(SKIPPED_MAX)
})

test('each block is in a language that is run, or parsed, or is text', () => {
  const languages = [...prose, 'sh', 'console', 'ts', 'js', 'json', 'yaml', 'python']
  expect(all.filter(({ language }) => !languages.includes(language)).map(placeOf)).toEqual([])
})

test('the TypeScript of all pages compiles against the types of the package', () => {
  expect(faultsOfTypes(all.filter(({ language, skip }) => language === 'ts' && skip === null))).toEqual([])
})

const played = pages().filter(
  (page) =>
    ![...ofClone, ...ofKubernetes, ofMachines].includes(page) &&
    blocksOf(page).some((block) => block.skip === null && !prose.includes(block.language)),
)

test('the blocks of all pages run one after another, as a reader pastes them', {
  timeout: 600_000,
}, async () => {
  // A page that starts no cluster of its own is about one that runs.
  const shared = await Cluster.start()
  const faults: string[] = []
  for (const page of played) {
    const blocks = blocksOf(page)
    if (blocks.some(({ language }) => language === 'python') && findPythonS3() === null) {
      if (process.env.CI === 'true') faults.push(pythonS3Missing)
      else process.stderr.write(`skipped: ${page}: ${pythonS3Missing}\n`)
      continue
    }
    const own = blocks.some(({ isTerminal, text }) => isTerminal && text.includes('mayfly up'))
    const cluster = { url: shared.url, apiKey: shared.apiKey }
    const stage = await Stage.open(own ? {} : { cluster })
    for (const block of blocks) {
      try {
        await stage.play(block)
      } catch (error) {
        faults.push((error as Error).message)
        break
      }
    }
  }
  expect(faults).toEqual([])
})
