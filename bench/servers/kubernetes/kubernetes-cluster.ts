import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { connect, type Mayfly } from '../../../client/connect.ts'
import { pidWith } from '../../probes/process-stat.ts'
import { type Member, startMember } from '../member.ts'
import { freePort } from '../server.ts'
import type { ApiRequest, Kubernetes, KubernetesObject } from './kubernetes.ts'

/** What the controller's service account may do, and has to. `docs/reference/kubernetes.md` lists the same. */
export const controllerRules: readonly PolicyRule[] = [
  { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch', 'create', 'patch', 'delete'] },
  { apiGroups: [''], resources: ['events'], verbs: ['list'] },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['list', 'create', 'patch'] },
  { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: ['create', 'patch'] },
]

export interface PolicyRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

export interface ClassOptions {
  readonly name: string
  readonly nodesMax: number
  /** Changes of the template: of the pod's spec, and of its container. */
  readonly spec?: object
  readonly container?: object
}

export interface KubernetesClusterOptions {
  readonly kubernetes: Kubernetes
  /** Path of the built command. */
  readonly command: string
  /** URL of PostgreSQL, which several controllers need; null for SQLite files. */
  readonly database: string | null
  readonly classes?: readonly ClassOptions[]
  readonly warmNodes?: number
  readonly startSeconds?: number
  readonly ramBytes?: number
  readonly rules?: readonly PolicyRule[]
  /** Way of the controllers to the API server; its own URL if not given. */
  readonly apiServer?: string
}

const NAME = 'mayfly'
const GRACE_SECONDS = 60
const ofController = { 'app.kubernetes.io/instance': NAME, 'app.kubernetes.io/component': 'controller' }

/** Controllers as processes of this machine, with metadata servers and storage nodes as pods of a namespace of their own. */
export class KubernetesCluster {
  readonly namespace: string
  readonly apiKey = randomBytes(16).toString('hex')
  readonly #dir: string
  readonly #options: KubernetesClusterOptions
  readonly #ports: readonly number[]
  readonly #members: Member[] = []

  private constructor(
    dir: string,
    options: KubernetesClusterOptions,
    at: { namespace: string; ports: number[] },
  ) {
    this.#dir = dir
    this.#options = options
    this.namespace = at.namespace
    this.#ports = at.ports
  }

  /** The namespace has what a chart would make. No process runs yet. */
  static async prepare(options: KubernetesClusterOptions): Promise<KubernetesCluster> {
    const namespace = await options.kubernetes.namespace()
    const ports = [await freePort(), await freePort()]
    const dir = await mkdtemp(join(tmpdir(), 'mayfly-kubernetes-'))
    const cluster = new KubernetesCluster(dir, options, { namespace, ports })
    await cluster.#write('secret', randomBytes(32).toString('hex'))
    await cluster.#write('key', cluster.apiKey)
    await cluster.#write('cluster.json', JSON.stringify(cluster.#config()))
    await cluster.setTemplates()
    await options.kubernetes.apply({ apiVersion: 'v1', kind: 'List', items: cluster.#objects() })
    await cluster.#write('kubeconfig', JSON.stringify(cluster.#kubeconfig()))
    await cluster.setToken(await cluster.newToken())
    return cluster
  }

  /** Of all controllers. */
  get url(): string {
    return this.#ports.map((port) => `http://127.0.0.1:${port}`).join(',')
  }

  connect(): Promise<Mayfly> {
    return connect(this.url, { apiKey: this.apiKey })
  }

  /** The first or second controller, 0 or 1. It is ready when it leads. Where there are two, each has a pod that stands for it. */
  async controller(index = 0): Promise<Member> {
    const podName = `${NAME}-controller-${index}`
    const hasPod = this.#options.database !== null
    if (hasPod) await this.#options.kubernetes.apply(this.#controllerPod(podName))
    const member = await startMember([this.#options.command, 'controller'], {
      HOME: this.#dir,
      KUBECONFIG: join(this.#dir, 'kubeconfig'),
      MAYFLY_LISTEN: `127.0.0.1:${this.#ports[index]}`,
      ...this.#state('controller'),
      MAYFLY_SECRET_FILE: join(this.#dir, 'secret'),
      MAYFLY_KEPT_DIR: join(this.#dir, 'kept'),
      MAYFLY_API_KEY_FILE: join(this.#dir, 'key'),
      MAYFLY_CLUSTER_FILE: join(this.#dir, 'cluster.json'),
      MAYFLY_KUBERNETES_FILE: join(this.#dir, 'kubernetes.json'),
      ...(hasPod && { MAYFLY_POD_NAME: podName }),
    })
    this.#members.push(member)
    return member
  }

  /** The pods of storage nodes. */
  pods(): Promise<KubernetesObject[]> {
    return this.#options.kubernetes.get('pods', this.namespace, 'app.kubernetes.io/component=storage-node')
  }

  /** Names of the pods that a Service of the leader would select. */
  async leaders(): Promise<string[]> {
    const pods = await this.#options.kubernetes.get('pods', this.namespace, 'mayfly/leads=true')
    return pods.map(({ metadata }) => metadata.name)
  }

  kubectl(...args: string[]): Promise<string> {
    return this.#options.kubernetes.kubectl(['-n', this.namespace, ...args])
  }

  async ask<Answer>(path: string, method = 'GET'): Promise<Answer> {
    const headers = { authorization: `Bearer ${this.apiKey}` }
    for (const url of this.url.split(',')) {
      const response = await fetch(new URL(path, url), { method, headers }).catch(() => null)
      if (response !== null) return (await response.json()) as Answer
    }
    throw new Error('no controller answers')
  }

  async nodes(): Promise<{ id: string; class: string; state: string; address: string | null }[]> {
    return (await this.ask<{ nodes: Awaited<ReturnType<KubernetesCluster['nodes']>> }>('/v1/nodes')).nodes
  }

  /** Process id of the node in a pod of this machine. */
  async pidOf(node: string): Promise<number> {
    const { stdout } = await promisify(execFile)('pgrep', ['-f', '--', `${this.#options.command} node`])
    const pid = await pidWith(`MAYFLY_NODE_ID=${node}`, stdout.trim().split('\n').map(Number))
    if (pid === null) throw new Error(`no process is node ${node}`)
    return pid
  }

  /** Writes the templates, with these variables in those of storage nodes. A controller reads them when it starts. */
  async setTemplates(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const { startSeconds = 30 } = this.#options
    const nodes = this.#classes.map((nodeClass) => [
      nodeClass.name,
      this.#nodeTemplate(nodeClass, environment),
    ])
    const file = {
      ...{ name: NAME, deployment: `${NAME}-controller`, startSeconds },
      nodes: Object.fromEntries(nodes) as object,
      metadata: { replicas: 1, template: this.#metadataTemplate() },
    }
    await this.#write('kubernetes.json', JSON.stringify(file))
  }

  /** A token of the controller's service account, which ends with the Secret `bound`. */
  async newToken(bound?: string): Promise<string> {
    const to = bound === undefined ? [] : ['--bound-object-kind=Secret', `--bound-object-name=${bound}`]
    return (await this.kubectl('create', 'token', `${NAME}-controller`, ...to)).trim()
  }

  /** Requests of the controllers that the API server has answered so far. */
  requests(): Promise<ApiRequest[]> {
    return this.#options.kubernetes.requestsOf(`${NAME}-controller`, this.namespace)
  }

  async setToken(token: string): Promise<void> {
    await this.#write('token', token)
  }

  async setRules(rules: readonly PolicyRule[]): Promise<void> {
    await this.#options.kubernetes.apply(this.#role(rules))
  }

  /** Resolves once no pod and no Deployment of the fleet is left, and with the controllers ended. */
  async stop(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.end('SIGKILL')))
    await this.kubectl('delete', 'deployments,pods', '--all', '--force', '--grace-period=0', '--wait=false')
    while ((await this.#options.kubernetes.get('pods', this.namespace)).length > 0) await sleep(100)
    await this.#options.kubernetes.kubectl(['delete', 'namespace', this.namespace, '--wait=false'])
    await rm(this.#dir, { recursive: true, force: true })
  }

  get #classes(): readonly ClassOptions[] {
    return this.#options.classes ?? [{ name: 'small', nodesMax: 4 }]
  }

  #config() {
    const { warmNodes = 0, ramBytes = 2 ** 27 } = this.#options
    const ofEach = { cores: 1, ramBytes, ssdBytes: 0, bytesPerSecond: 1e9, pricePerHour: 0 }
    return {
      warmNodes,
      nodeClasses: this.#classes.map(({ name, nodesMax }) => ({ name, nodesMax, ...ofEach })),
    }
  }

  #objects(): object[] {
    const metadata = { name: `${NAME}-controller`, namespace: this.namespace }
    const labels = { app: NAME }
    const containers = [{ name: 'none', image: 'none' }]
    const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name }
    return [
      {
        ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata },
        spec: {
          replicas: 0,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers } },
        },
      },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
      this.#role(this.#options.rules ?? controllerRules),
      {
        ...{ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata, roleRef: role },
        subjects: [{ kind: 'ServiceAccount', name: metadata.name, namespace: this.namespace }],
      },
    ]
  }

  #controllerPod(name: string): object {
    const containers = [{ name: 'stand-in', image: 'none', command: ['sleep', 'infinity'] }]
    return {
      ...{
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: this.namespace, labels: ofController },
      },
      spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 1, containers },
    }
  }

  #role(rules: readonly PolicyRule[]): object {
    const metadata = { name: `${NAME}-controller`, namespace: this.namespace }
    return { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata, rules }
  }

  #kubeconfig(): object {
    const { caFile, server: direct } = this.#options.kubernetes
    const { apiServer: server = direct } = this.#options
    const auth = { name: 'tokenFile', config: { tokenFile: join(this.#dir, 'token') } }
    return {
      ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'test' },
      clusters: [{ name: 'test', cluster: { server, 'certificate-authority': caFile } }],
      users: [{ name: 'test', user: { 'auth-provider': auth } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: this.namespace } }],
    }
  }

  #nodeTemplate(
    { spec = {}, container = {} }: ClassOptions,
    environment: Readonly<Record<string, string>>,
  ): object {
    const env = { MAYFLY_KEPT_DIR: join(this.#dir, 'kept'), ...environment }
    return {
      spec: {
        ...this.#podSpec('node', env, container),
        terminationGracePeriodSeconds: GRACE_SECONDS,
        ...spec,
      },
    }
  }

  #metadataTemplate(): object {
    return { spec: this.#podSpec('metadata', this.#state('$(MAYFLY_METADATA_ID)'), {}) }
  }

  /** Where a process keeps its decisions. */
  #state(name: string): Record<string, string> {
    const { database } = this.#options
    return database === null ? { MAYFLY_DIR: join(this.#dir, name) } : { MAYFLY_DATABASE_URL: database }
  }

  #podSpec(verb: string, environment: Readonly<Record<string, string>>, container: object): object {
    const env = {
      MAYFLY_LISTEN: '127.0.0.1:0',
      MAYFLY_METRICS_LISTEN: '127.0.0.1:0',
      MAYFLY_CONTROLLER_URL: this.url,
      MAYFLY_SECRET_FILE: join(this.#dir, 'secret'),
      ...environment,
    }
    const command = [process.execPath, this.#options.command, verb]
    const variables = Object.entries(env).map(([name, value]) => ({ name, value }))
    const containers = [{ name: 'mayfly', image: 'none', command, env: variables, ...container }]
    return { automountServiceAccountToken: false, terminationGracePeriodSeconds: 5, containers }
  }

  async #write(name: string, text: string): Promise<void> {
    await writeFile(join(this.#dir, name), text, { mode: 0o600 })
  }
}
