import { expect, test } from 'vitest'
import { sharedCluster } from '../fixture/mayfly-up.ts'
import { needPeer } from '../fixture/peers.ts'
import { blocksOf, pages, placeOf, prose } from './blocks.ts'
import { Stage } from './stage.ts'
import { faultsOfTypes } from './types.ts'

/** The pages that begin with a clone of the repository; `clone.test.ts` plays them there. */
const ofClone = ['README.md', 'docs/tutorial.md']
/** `test/machines` plays it. */
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

test('the TypeScript of all pages compiles against the types of the package', async () => {
  const run = all.filter(({ language, skip }) => language === 'ts' && skip === null)
  expect(await faultsOfTypes(run)).toEqual([])
})

const played = pages().filter(
  (page) =>
    ![...ofClone, ...ofKubernetes, ofMachines].includes(page) &&
    blocksOf(page).some((block) => block.skip === null && !prose.includes(block.language)),
)

const cluster = sharedCluster()

test.for(played)(
  'the blocks of %s run one after another, as a reader pastes them',
  {
    timeout: 300_000,
  },
  async (page, context) => {
    const blocks = blocksOf(page)
    if (blocks.some(({ language }) => language === 'python')) needPeer('pythonS3', context)
    // A page that starts no cluster of its own is about one that runs.
    const startsOwn = blocks.some(({ isTerminal, text }) => isTerminal && text.includes('mayfly up'))
    const { url, apiKey } = await cluster()
    const stage = await Stage.open(startsOwn ? {} : { cluster: { url, apiKey } })
    for (const block of blocks) await stage.play(block)
  },
)
