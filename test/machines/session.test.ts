import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Block, blocksOf } from '../docs/blocks.ts'
import { type Load, startLoad } from './load.ts'
import { IMAGE, onRealCluster, openStage, type RealCluster } from './real-cluster.ts'

const UPGRADE_MS_MAX = 300_000

/** Until each pod of Mayfly was made from what the upgrade brought. */
async function untilUpgraded({ kubectl }: RealCluster): Promise<void> {
  const old = () =>
    kubectl('get', 'pods', '--selector', 'app.kubernetes.io/name=mayfly,release!=second', '--output', 'name')
  await expect.poll(old, { timeout: UPGRADE_MS_MAX, interval: 1000 }).toMatch(/^(pod\/mayfly-test\n)?$/)
}

test('the session of docs/kubernetes.md runs on two machines, and no call fails while one is emptied and all is upgraded', {
  timeout: 1_800_000,
}, async () => {
  await onRealCluster(async (cluster) => {
    const stage = await openStage(cluster)
    const has = ({ text }: Block, command: string) => text.includes(command)
    let load: Load | null = null
    for (const block of blocksOf(join('docs', 'kubernetes.md'))) {
      if (block.skip === null) console.log(block.text)
      await stage.play(block)
      if (has(block, 'helm test')) load = await startLoad(cluster, `${IMAGE}:0.1.0`)
      if (has(block, 'helm upgrade') && load !== null) {
        await untilUpgraded(cluster)
        const { calls, failures } = await load.finish()
        console.log(`${calls} calls beside the drain and the upgrade, ${failures.length} failed`)
        expect(failures).toEqual([])
        expect(calls).toBeGreaterThan(1000)
      }
    }
    expect(load).not.toBeNull()
    const left = () =>
      cluster.kubectl('get', 'pods', '--selector', 'app.kubernetes.io/name=mayfly', '--output', 'name')
    await expect.poll(left, { timeout: 60_000, interval: 1000 }).toMatch(/^(pod\/mayfly-test\n)?$/)
    await stage.close()
  })
})
