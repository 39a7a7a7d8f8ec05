import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { helm } from '../../bench/servers/go-programs.ts'
import { type S3Target, startMinio } from '../../bench/servers/minio.ts'
import { cacheDir } from '../../bench/servers/path.ts'
import { Postgres } from '../../bench/servers/postgres.ts'
import { buildImage } from '../deploy/support/image.ts'
import { Stage } from '../docs/stage.ts'
import { tempDir } from '../fixture/temp-dir.ts'
import { startDns } from './dns.ts'
import { forward } from './forwarder.ts'

const run = promisify(execFile)

const API = '10.0.0.1'
const DNS = '10.0.0.10'
const DATABASE = '10.0.0.20'
const S3 = '10.0.0.21'
const MACHINES = [1, 2]
const READY_MS_MAX = 120_000

/** A Kubernetes with two machines, its DNS, a PostgreSQL and a MinIO that pods reach. */
export interface RealCluster {
  /** What a shell needs to use it. */
  readonly env: Readonly<Record<string, string>>
  kubectl(...args: string[]): Promise<string>
  /** Kills the kubelet of a machine; its containers run on. Resolves with a function that starts it again. */
  killKubelet(machine: string): Promise<() => Promise<void>>
  stop(): Promise<void>
}

/** The image that `test/deploy/support/image.ts` builds. */
export const IMAGE = 'local.test/mayfly'

/** The folder of the kit. */
const kit = process.env.MAYFLY_KUBERNETES ?? join(cacheDir(process.env), 'kubernetes')

const kitMissing = `There is no Kubernetes in ${kit}: set MAYFLY_KUBERNETES to a folder with kubectl, up.sh and node.sh`

function hasKit(): boolean {
  return existsSync(join(kit, 'bin/kubectl'))
}

/** Runs `task` on a cluster whose machines have the image, and stops it. */
export async function onRealCluster(task: (cluster: RealCluster) => Promise<void>): Promise<void> {
  if (!hasKit()) throw new Error(kitMissing)
  const { archive } = await buildImage(await tempDir())
  const cluster = await startRealCluster(archive)
  try {
    await task(cluster)
  } finally {
    await cluster.stop()
  }
}

/** A reader of docs/kubernetes.md. */
export async function openStage({ env }: RealCluster): Promise<Stage> {
  // An install waits for pods that start, and a drain for objects that move.
  return await Stage.open({ env: { ...env, IMAGE }, blockMs: 300_000, repository: true })
}

/** Starts all of it. Both machines import the image. */
async function startRealCluster(image: string): Promise<RealCluster> {
  const ends: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end()
  }
  try {
    const dir = await tempDir()
    const kubeconfig = join(dir, 'kubeconfig')
    const script = (name: string, args: readonly string[] = [], env: Record<string, string> = {}) =>
      run(join(kit, name), args, {
        env: { ...process.env, ...env },
        timeout: READY_MS_MAX,
        maxBuffer: 2 ** 24,
      })
    // Its ports are fixed, so it waits while another one runs on this machine.
    const lock = spawn('flock', [join(kit, 'lock'), 'sh', '-c', 'echo locked; exec cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    ends.push(() => lock.stdin.end())
    await once(lock.stdout, 'data')
    const copy = join(kit, 'img', 'mayfly.tar')
    await copyFile(image, copy)
    ends.push(() => run('rm', ['-f', copy]))
    ends.push(() => script('down.sh'))
    await run('rm', ['-rf', join(kit, 'data')])
    await script('up.sh', [], { FULL: '1' })
    await copyFile(join(kit, 'pki/admin.kubeconfig'), kubeconfig)
    ends.push(await forward(API, 443, 6443))
    ends.push(await startDns(DNS, kit))
    const flags = `--cluster-dns=${DNS} --cluster-domain=cluster.local`
    const startMachine = async (machine: string): Promise<void> =>
      void (await script('node.sh', [machine], { KUBELET_FLAGS: flags }))
    for (const machine of MACHINES) {
      ends.push(() => script('node-down.sh', [`${machine}`], { PURGE: '1' }))
      await startMachine(`${machine}`)
    }
    const postgres = await Postgres.start({ durable: false })
    ends.push(() => postgres.stop())
    const database = new URL(await postgres.createDatabase())
    ends.push(await forward(DATABASE, 5432, postgres.port))
    const minio = await startMinio()
    ends.push(() => minio.stop())
    const { endpoint, accessKeyId, secretAccessKey } = JSON.parse(minio.target) as S3Target
    ends.push(await forward(S3, 9000, Number(new URL(endpoint).port)))
    const credentials = { accessKeyId, secretAccessKey }
    const s3 = new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true })
    await s3.send(new CreateBucketCommand({ Bucket: 'mayfly' }))
    s3.destroy()
    const env = {
      PATH: [join(kit, 'bin'), dirname(helm.find() ?? ''), process.env.PATH].join(':'),
      KUBECONFIG: kubeconfig,
      DATABASE_URL: `postgres://mayfly@${DATABASE}:5432${database.pathname}`,
      S3_ENDPOINT: `http://${S3}:9000`,
      S3_ACCESS_KEY_ID: accessKeyId,
      S3_SECRET_ACCESS_KEY: secretAccessKey,
    }
    const kubectl = async (...args: string[]): Promise<string> =>
      (await run('kubectl', args, { env: { ...process.env, ...env }, maxBuffer: 2 ** 24 })).stdout
    for (const machine of MACHINES)
      await kubectl(
        ...['wait', '--for=create', `node/127.0.0.${machine}`, `--timeout=${READY_MS_MAX / 1000}s`],
      )
    await kubectl('wait', '--for=condition=Ready', 'node', '--all', `--timeout=${READY_MS_MAX / 1000}s`)
    const killKubelet = async (name: string): Promise<() => Promise<void>> => {
      const machine = name.split('.').at(-1) ?? ''
      process.kill(Number(await readFile(join(kit, 'run', `kubelet${machine}.pid`), 'utf8')), 'SIGKILL')
      return () => startMachine(machine)
    }
    return { env, kubectl, killKubelet, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
