import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { promisify } from 'node:util'
import { onTestFinished, test } from 'vitest'
import { blocksOf } from '../docs/blocks.ts'
import { Stage } from '../docs/stage.ts'
import { startMachines } from '../fixture/machines.ts'
import { needPeer } from '../fixture/peers.ts'
import { tempDir } from '../fixture/temp-dir.ts'

const names = ['a', 'b', 'c']

/** Each machine of the page has a shell of its own, and `/etc/hosts` as a reader would write it. */
test('three machines are a cluster as the page says, one is lost in the midst of a job, and the words are the same', {
  timeout: 900_000,
}, async (context) => {
  needPeer('postgres', context)
  needPeer('openssl', context)
  const machines = await startMachines(3, context)
  const hosts = machines.map(({ address }, index) => `${address} ${names[index]}.example`)
  const homes = await tempDir()
  // PostgreSQL runs as another user.
  await chmod(homes, 0o755)
  const stages = new Map<string, Stage>()
  for (const [index, { name: namespace, prefix, setHosts }] of machines.entries()) {
    onTestFinished(() => endAll(namespace))
    await setHosts(hosts)
    const name = names[index] ?? ''
    stages.set(name, await Stage.open({ machine: { prefix, homes, host: `${name}.example` } }))
  }
  for (const block of blocksOf('docs/hosts.md'))
    for (const name of block.on) await stages.get(name)?.play(block)
})

/** Ends what the page has started there and left running, as PostgreSQL. */
async function endAll(namespace: string): Promise<void> {
  const { stdout } = await promisify(execFile)('ip', ['netns', 'pids', namespace])
  for (const pid of stdout.trim().split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}
