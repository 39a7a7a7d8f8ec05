import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { cacheDir } from '../path.ts'

export const kubernetesMissing =
  'Kubernetes is missing: `PARTS=control test/kubernetes/kit/install.sh` builds it in 8 minutes, for which Go is needed'

/** The folder in which a Kubernetes for one machine was built; null if there is none. */
export function findKubernetes(): string | null {
  const dir = join(cacheDir(process.env), 'kubernetes')
  return ['etcd36', 'etcdctl36', 'kubeall', 'proc-kubelet'].every((name) =>
    existsSync(join(dir, 'bin', name)),
  )
    ? dir
    : null
}

/** An object as kubectl prints it. */
export interface KubernetesObject {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly labels?: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
  }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly status?: Readonly<Record<string, unknown>>
}

/** A request that the API server has answered, or has begun to if it is a watch. */
export interface ApiRequest {
  readonly verb: string
  readonly resource: string
  readonly code: number
  /** When it was received, ms since the Unix epoch. */
  readonly atMs: number
  /** Of the object, if it names one. */
  readonly name: string
}

const API_SERVER = 'https://127.0.0.1:6443'
/** Requests of service accounts are logged when they are answered. */
const AUDIT_POLICY = JSON.stringify({
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata', userGroups: ['system:serviceaccounts'] }],
})
const START_MS_MAX = 60_000

/** The part of an audit event that is used here. */
interface AuditEntry {
  readonly verb: string
  readonly stage: string
  readonly objectRef?: { readonly resource?: string; readonly name?: string }
  readonly responseStatus?: { readonly code?: number }
  readonly requestReceivedTimestamp: string
}

/**
 * A real control plane, and a node whose pods are processes of this machine. Its ports are fixed, so it waits while another one runs on this
 * machine. It begins without objects.
 */
export class Kubernetes {
  readonly dir: string
  readonly #lock: ChildProcess
  #namespaces = 0

  private constructor(dir: string, lock: ChildProcess) {
    this.dir = dir
    this.#lock = lock
  }

  static async start(): Promise<Kubernetes> {
    const dir = findKubernetes()
    if (dir === null) throw new Error(kubernetesMissing)
    const lock = spawn('flock', [join(dir, 'lock'), 'sh', '-c', 'echo locked; exec cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    await once(lock.stdout, 'data')
    const kubernetes = new Kubernetes(dir, lock)
    // A run that was killed has left its processes.
    await kubernetes.#script('./down.sh')
    await rm(join(dir, 'data'), { recursive: true, force: true })
    await rm(kubernetes.#auditLog, { force: true })
    await writeFile(join(dir, 'audit-policy.json'), AUDIT_POLICY)
    await kubernetes.#script('./up.sh')
    await kubernetes.#script('./proc-node.sh', 'proc1')
    return kubernetes
  }

  /** A kubeconfig of its administrator. */
  get kubeconfig(): string {
    return join(this.dir, 'pki', 'admin.kubeconfig')
  }

  get server(): string {
    return API_SERVER
  }

  get caFile(): string {
    return join(this.dir, 'pki', 'ca.crt')
  }

  /** Runs kubectl as the administrator; resolves with what it prints. */
  async kubectl(args: readonly string[], input = ''): Promise<string> {
    const env = { ...process.env, KUBECONFIG: this.kubeconfig }
    const running = promisify(execFile)(join(this.dir, 'bin', 'kubectl'), args, { env, maxBuffer: 2 ** 27 })
    running.child.stdin?.end(input)
    return (await running).stdout
  }

  async apply(object: unknown): Promise<void> {
    await this.kubectl(['apply', '-f', '-'], JSON.stringify(object))
  }

  async get(kind: string, namespace: string, selector = ''): Promise<KubernetesObject[]> {
    const text = await this.kubectl(['get', kind, '-n', namespace, '-l', selector, '-o', 'json'])
    return (JSON.parse(text) as { items: KubernetesObject[] }).items
  }

  /** The requests of a service account so far, in the order of their answers. */
  async requestsOf(account: string, namespace: string): Promise<ApiRequest[]> {
    const user = `system:serviceaccount:${namespace}:${account}`
    const lines = (await readFile(this.#auditLog, 'utf8')).split('\n').filter((line) => line.includes(user))
    return lines.flatMap((line) => {
      const entry = JSON.parse(line) as AuditEntry
      const { verb, objectRef, responseStatus, requestReceivedTimestamp, stage } = entry
      // A watch has an entry for its beginning, and one for its end.
      if (stage === 'ResponseStarted') return []
      const { resource = '', name = '' } = objectRef ?? {}
      const { code = 0 } = responseStatus ?? {}
      return [{ verb, resource, name, code, atMs: Date.parse(requestReceivedTimestamp) }]
    })
  }

  /** Creates a namespace; pods can be created there. */
  async namespace(): Promise<string> {
    const name = `test-${++this.#namespaces}`
    await this.kubectl(['create', 'namespace', name])
    for (;;) {
      if ((await this.get('serviceaccounts', name)).length > 0) return name
      await sleep(50)
    }
  }

  /** Ends the API server; the returned function starts it again. */
  async haltApiServer(): Promise<() => Promise<void>> {
    const pidFile = join(this.dir, 'run', 'kube-apiserver.pid')
    const pid = Number(readFileSync(pidFile, 'utf8'))
    const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
    process.kill(pid, 'SIGKILL')
    while (existsSync(`/proc/${pid}`)) await sleep(20)
    return async () => {
      const child = spawn(program, args, { detached: true, stdio: 'ignore', cwd: this.dir })
      child.unref()
      await writeFile(pidFile, `${child.pid}\n`)
      await this.#untilReady()
    }
  }

  /** Forgets the history of every object, as etcd does after five minutes. */
  async compactHistory(): Promise<void> {
    const etcdctl = join(this.dir, 'bin', 'etcdctl36')
    const at = ['--endpoints=http://127.0.0.1:12379']
    const { stdout } = await promisify(execFile)(etcdctl, [...at, 'endpoint', 'status', '-w', 'json'])
    const [{ Status }] = JSON.parse(stdout) as [{ Status: { header: { revision: number } } }]
    await promisify(execFile)(etcdctl, [...at, 'compaction', String(Status.header.revision)])
  }

  async stop(): Promise<void> {
    await this.#script('./down.sh')
    this.#lock.stdin?.end()
    await once(this.#lock, 'exit')
  }

  get #auditLog(): string {
    return join(this.dir, 'log', 'audit.log')
  }

  async #untilReady(): Promise<void> {
    for (const endMs = performance.now() + START_MS_MAX; performance.now() < endMs; await sleep(100)) {
      const answer = await this.kubectl(['get', '--raw', '/readyz']).catch(() => '')
      if (answer === 'ok') return
    }
    throw new Error('the API server did not become ready')
  }

  async #script(path: string, ...args: string[]): Promise<void> {
    // The stand-in of the kubelet says once that its machine is ready: one that was NotReady, after a minute without the API server, would stay so. No test crashes the machine, so nothing need reach the disk.
    const APISERVER_FLAGS = `--audit-policy-file=${this.dir}/audit-policy.json --audit-log-path=${this.#auditLog}`
    const own = { FULL: '1', NODE_GRACE: '3600s', ETCD_FLAGS: '--unsafe-no-fsync', APISERVER_FLAGS }
    const env = { ...process.env, ...own }
    const child = spawn(path, args, { cwd: this.dir, stdio: 'ignore', env })
    const [code] = (await once(child, 'exit')) as [number]
    if (code !== 0) throw new Error(`${join(this.dir, path)} ended with exit code ${code}`)
  }
}
