import { spawn } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { pidWith, startedMs } from '../../bench/probes/process-stat.ts'
import { nowMs } from '../../bench/probes/shared-clock.ts'
import { median } from '../../bench/report/median.ts'
import { connect, type Mayfly } from '../../client/connect.ts'
import { blocksOf } from '../docs/blocks.ts'
import { isRunning } from '../fixture/mayfly-up.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { startLoad } from '../kubernetes/support/load.ts'
import { onRealCluster, openStage, type RealCluster } from './real-cluster.ts'

const STORAGE = 'app.kubernetes.io/component=storage-node'
const STARTS = 5
const MIB = 2 ** 20
/** Longer than the lease of a node. */
const LEASE_OVER_MS = 25_000

interface Pod {
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly spec: { readonly nodeName: string }
}

async function podsOf({ kubectl }: RealCluster, selector: string): Promise<Pod[]> {
  const text = await kubectl('get', 'pods', '--selector', selector, '--output', 'json')
  return (JSON.parse(text) as { items: Pod[] }).items
}

async function onlyNode(cluster: RealCluster) {
  const pods = await podsOf(cluster, STORAGE)
  expect(pods).toHaveLength(1)
  const { metadata, spec } = pods[0] as Pod
  const node = metadata.labels['mayfly/node'] ?? ''
  return { node, pod: metadata.name, machine: spec.nodeName, pid: await pidOf(node) }
}

/** Process id, on this machine, of the node in a container. */
async function pidOf(node: string): Promise<number> {
  const pids = (await readdir('/proc')).map(Number).filter((each) => each > 0)
  const pid = await pidWith(`MAYFLY_NODE_ID=${node}`, pids)
  if (pid === null) throw new Error(`no process is node ${node}`)
  return pid
}

/** The release of docs/kubernetes.md, without a node that waits for jobs. */
async function install(cluster: RealCluster): Promise<void> {
  const stage = await openStage(cluster)
  for (const block of blocksOf(join('docs', 'kubernetes.md'))) {
    await stage.play({ ...block, text: block.text.replace('--wait ', '--set warmNodes=0 --wait ') })
    if (block.text.includes('helm install')) break
  }
}

/** By a port of this machine that leads to the pod `leader`. */
async function connectTo({ env, kubectl }: RealCluster, leader: string): Promise<Mayfly> {
  const read = async (secret: string, key: string): Promise<string> => {
    const text = await kubectl('get', 'secret', secret, '--output', `jsonpath={.data.${key}}`)
    return Buffer.from(text, 'base64').toString()
  }
  const caFile = join(await tempDir(), 'ca.crt')
  await writeFile(caFile, await read('mayfly-tls', 'ca\\.crt'))
  process.env.MAYFLY_CA_FILE = caFile
  const child = spawn('kubectl', ['port-forward', `pod/${leader}`, ':7400'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill())
  const port = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error('kubectl port-forward has ended')))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, found] = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(line) ?? []
      if (found !== undefined) resolve(found)
    })
  })
  return await connect(`https://localhost:${port}`, { apiKey: await read('mayfly-auth', 'api-key') })
}

/** When each pod of a storage node was first seen, by its name. */
function watchPods({ env }: RealCluster): Map<string, number> {
  const seen = new Map<string, number>()
  const columns = ['--output', 'jsonpath={.metadata.name}{"\\n"}']
  const child = spawn('kubectl', ['get', 'pods', '--selector', STORAGE, '--watch', ...columns], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill())
  createInterface({ input: child.stdout }).on('line', (name) => {
    if (!seen.has(name)) seen.set(name, nowMs())
  })
  return seen
}

/** Registrations, each of which needs a pod. Prints how long they take: until the pod is there, its process runs, and the job is active. */
async function measureStarts(cluster: RealCluster, mayfly: Mayfly): Promise<void> {
  const seen = watchPods(cluster)
  const starts: number[][] = []
  for (let sample = 0; sample <= STARTS; sample++) {
    const sentMs = nowMs()
    // For a name that recurs a node would be started ahead.
    const job = await mayfly.registerJob(`pod-${sample}`, { capacityBytes: 400 * MIB }, { waitSeconds: 120 })
    const answeredMs = nowMs()
    const { pod, pid } = await onlyNode(cluster)
    const runsMs = await startedMs(pid)
    const createdMs = seen.get(pod) ?? Number.NaN
    if (sample > 0) starts.push([createdMs - sentMs, runsMs - createdMs, answeredMs - runsMs])
    await job.deregister()
    await untilNoPod(cluster)
  }
  const part = (index: number): string => median(starts.map((start) => start[index] ?? Number.NaN)).toFixed(0)
  const totals = starts.map((start) => start.reduce((sum, ms) => sum + ms, 0))
  console.info(
    `a registration that needs a pod takes ${median(totals).toFixed(0)} ms, ${Math.max(...totals).toFixed(0)} ms at the most: ${part(0)} ms until the pod is there, ${part(1)} ms until its process runs, ${part(2)} ms until the job is active`,
  )
}

async function untilNoPod(cluster: RealCluster): Promise<void> {
  await expect.poll(() => podsOf(cluster, STORAGE), { timeout: 60_000, interval: 500 }).toEqual([])
}

test('on real machines a kubelet that dies and comes back costs no call, and a node that is killed for memory is dead at once; neither leaves a pod', {
  timeout: 1_200_000,
}, async () => {
  await onRealCluster(async (cluster) => {
    const { kubectl } = cluster
    await install(cluster)
    const [leader] = await podsOf(cluster, 'mayfly/leads=true')
    if (leader === undefined) throw new Error('no controller leads')
    const mayfly = await connectTo(cluster, leader.metadata.name)
    await measureStarts(cluster, mayfly)

    // The kubelet that dies is not that of the leader's machine, to which this process is connected through it.
    await kubectl('cordon', leader.spec.nodeName)
    const running = { cluster: { connect: async () => mayfly } }
    const first = await startLoad(running)
    const before = await onlyNode(cluster)
    const startKubelet = await cluster.killKubelet(before.machine)
    await kubectl('wait', '--for=condition=Ready=Unknown', `node/${before.machine}`, '--timeout=60s')
    await kubectl('uncordon', leader.spec.nodeName)
    // As Kubernetes does when the machine has been away for five minutes. Nobody tells the node.
    await kubectl('delete', 'pod', before.pod, '--wait=false')
    await sleep(LEASE_OVER_MS)
    // The controller may have started a node for its objects; until it moves them, it serves.
    expect((await podsOf(cluster, STORAGE)).map(({ metadata }) => metadata.name)).toContain(before.pod)
    expect(await pidOf(before.node)).toBe(before.pid)
    await startKubelet()
    // SIGTERM arrives, and it ends when its objects are on another node.
    const names = async () => (await podsOf(cluster, STORAGE)).map(({ metadata }) => metadata.name)
    await expect.poll(names, { timeout: 120_000, interval: 500 }).not.toContain(before.pod)
    expect(isRunning(before.pid)).toBe(false)
    expect(await first.finish()).toEqual([])
    for (let index = 0; index < 200; index++) expect(await first.job.exists(`fill/${index}`)).toBe(true)
    await first.job.deregister()
    await untilNoPod(cluster)

    const second = await startLoad(running)
    const victim = await onlyNode(cluster)
    // Of the processes of a container that has used up its memory, the kernel kills the one with the highest score: by its size, and by what is
    // written here. All of this pod have nearly as much, so what uses up the memory is many processes that are each smaller than the node.
    const program = `require('fs').writeFileSync('/proc/1/oom_score_adj', '1000')
      const hold = 'const held = Buffer.alloc(2 ** 25, 1); setInterval(() => held.length, 1000)'
      for (let i = 0; i < 40; i++) require('child_process').spawn(process.execPath, ['-e', hold])`
    await kubectl('exec', victim.pod, '--', 'node', '-e', program).catch(() => undefined)
    const diedMs = performance.now()
    const reason = async (): Promise<string> => {
      const lines = (await kubectl('logs', leader.metadata.name)).split('\n')
      return lines.find((line) => line.includes('is lost') && line.includes(victim.node)) ?? ''
    }
    await expect.poll(reason, { timeout: 30_000, interval: 500 }).toMatch(/exit code 137.*OOMKilled/)
    await second.job.put('again', 'value', { deadlineMs: 60_000 })
    expect(await second.finish([diedMs])).toEqual([])
    await second.job.deregister()
    await untilNoPod(cluster)
  })
})
