import { Agent } from 'node:https'
import type {
  AppsV1Api,
  CoreV1Api,
  KubeConfig,
  PolicyV1Api,
  V1Deployment,
  V1OwnerReference,
  V1Pod,
  V1PodDisruptionBudget,
} from '@kubernetes/client-node'
import { MayflyError } from '../../../../protocol/errors.ts'
import { Semaphore } from '../../../../service/process/locks.ts'
import {
  API_CALL_MS_MAX,
  API_CALLS_MAX,
  API_PAGE_MAX,
  CREDENTIALS_MS,
  WATCH_MS_MAX,
  WATCH_SECONDS,
} from './limits.ts'
import { LEADER_LABEL, leaderSelector, selectorOf } from './pod.ts'

/** The API server did not answer, or refused. */
export class ApiServerError extends MayflyError {
  /** Null if there was no answer. */
  readonly status: number | null

  constructor(message: string, { status, cause }: { status: number | null; cause: unknown }) {
    super('UNAVAILABLE', message, { cause })
    this.status = status
  }

  /**
   * A repetition of the request would be refused as well: it is wrong, or exceeds a quota. A right that is missing is none of that: an API server
   * that has just started refuses every request until it has read the roles.
   */
  get isFinal(): boolean {
    if (this.status === 403) return !MISSING_RIGHT.test(this.reason)
    return this.status !== null && [400, 404, 405, 422].includes(this.status)
  }
}

/** What the API server says where no role allows the request; what admission refuses has the same status. */
const MISSING_RIGHT = / is forbidden: User ".*" cannot /

export interface PodList {
  readonly pods: readonly V1Pod[]
  /** Where a watch begins. */
  readonly resourceVersion: string
}

export interface PodEvents {
  changed(pod: V1Pod): void
  /** With the last state that Kubernetes knew. */
  deleted(pod: V1Pod): void
  /** Where the watch is to begin anew; a bookmark moves it without a change. */
  at(resourceVersion: string): void
}

type Configuration = ReturnType<typeof import('@kubernetes/client-node').createConfiguration>

const FIELD_MANAGER = 'mayfly-controller'

/** The calls of the fleet to the Kubernetes API server. Each is bounded, and rejects with an `ApiServerError`. */
export class ApiServer {
  readonly namespace: string
  readonly #instance: string
  readonly #library: typeof import('@kubernetes/client-node')
  readonly #config: KubeConfig
  readonly #core: CoreV1Api
  readonly #apps: AppsV1Api
  readonly #policy: PolicyV1Api
  readonly #inFlight = new Semaphore(API_CALLS_MAX)
  #agent: { readonly agent: Agent; readonly sinceMs: number } | null = null

  private constructor(library: typeof import('@kubernetes/client-node'), instance: string) {
    const { KubeConfig, CoreV1Api, AppsV1Api, PolicyV1Api } = library
    this.#library = library
    this.#instance = instance
    this.#config = new KubeConfig()
    this.#config.loadFromDefault()
    const context = this.#config.getContextObject(this.#config.getCurrentContext())
    this.namespace = context?.namespace ?? 'default'
    this.#core = this.#client(CoreV1Api)
    this.#apps = this.#client(AppsV1Api)
    this.#policy = this.#client(PolicyV1Api)
  }

  /** Loads the library, which takes two seconds of CPU and 70 MiB, and the credentials: `KUBECONFIG`, or those of the pod. */
  static async open(instance: string): Promise<ApiServer> {
    return new ApiServer(await import('@kubernetes/client-node'), instance)
  }

  /** The pods of storage nodes. */
  async listPods(): Promise<PodList> {
    const pods: V1Pod[] = []
    for (let at: string | undefined; ; ) {
      const page = await this.#call('list the pods', () =>
        this.#core.listNamespacedPod({
          ...{ namespace: this.namespace, labelSelector: this.#selector, limit: API_PAGE_MAX },
          ...(at !== undefined && { _continue: at }),
        }),
      )
      pods.push(...page.items)
      at = page.metadata?._continue
      if (at === undefined || at === '')
        return { pods, resourceVersion: page.metadata?.resourceVersion ?? '' }
    }
  }

  /**
   * Reports changes of the pods of storage nodes from `resourceVersion` on. Resolves when the API server ends the watch, within
   * `WATCH_MS_MAX`, and rejects with status 410 if its history does not reach back that far.
   */
  async watchPods(
    resourceVersion: string,
    { events, signal }: { events: PodEvents; signal: AbortSignal },
  ): Promise<void> {
    const what = 'watch the pods'
    const watch = new this.#library.Watch(this.#boundedConfig())
    const query = {
      labelSelector: this.#selector,
      resourceVersion,
      allowWatchBookmarks: true,
      timeoutSeconds: WATCH_SECONDS,
    }
    const path = `/api/v1/namespaces/${encodeURIComponent(this.namespace)}/pods`
    let failure: unknown = null
    let isOver = (): void => undefined
    const over = new Promise<void>((resolve) => {
      isOver = resolve
    })
    const take = (type: string, object: unknown): void => {
      if (type === 'ERROR') failure ??= statusError(what, object)
      else if (failure === null) deliver(type, object as V1Pod, events)
    }
    const request = await watch
      .watch(path, query, take, (error) => {
        failure ??= error ?? null
        isOver()
      })
      .catch((cause: unknown) => Promise.reject(asApiServerError(what, cause)))
    const abort = (): void => request.abort()
    const late = setTimeout(() => {
      failure ??= new ApiServerError(`Could not ${what}: nothing came for too long`, {
        ...{ status: null, cause: null },
      })
      abort()
    }, WATCH_MS_MAX)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    await over
    clearTimeout(late)
    signal.removeEventListener('abort', abort)
    if (failure === null || signal.aborted) return
    throw failure instanceof ApiServerError ? failure : asApiServerError(what, failure)
  }

  async createPod(pod: V1Pod): Promise<void> {
    await this.#call('create a pod', () =>
      this.#core.createNamespacedPod({ namespace: this.namespace, body: pod, fieldManager: FIELD_MANAGER }),
    )
  }

  /** Begins the deletion: SIGTERM, and SIGKILL after the pod's grace. */
  async deletePod(name: string): Promise<void> {
    await this.#call('delete a pod', () =>
      this.#core.deleteNamespacedPod({ namespace: this.namespace, name }),
    )
  }

  /** The pods of controllers with the label of the leader. */
  async listLeaders(): Promise<string[]> {
    const labelSelector = leaderSelector(this.#instance)
    const { items } = await this.#call('list the pods of controllers', () =>
      this.#core.listNamespacedPod({ namespace: this.namespace, labelSelector }),
    )
    return items.flatMap(({ metadata }) => metadata?.name ?? [])
  }

  /** Sets the label of the leader on a pod, or removes it. */
  async labelLeader(name: string, leads: boolean): Promise<void> {
    const { setHeaderOptions, PatchStrategy } = this.#library
    const body = { metadata: { labels: { [LEADER_LABEL]: leads ? 'true' : null } } }
    await this.#call('label a pod', () =>
      this.#core.patchNamespacedPod(
        { name, namespace: this.namespace, body, fieldManager: FIELD_MANAGER },
        setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
      ),
    )
  }

  /** The last warning about a pod; null if there is none. */
  async lastWarning(pod: string): Promise<string | null> {
    const fieldSelector = `involvedObject.kind=Pod,involvedObject.name=${pod},type=Warning`
    const { items } = await this.#call('list the events of a pod', () =>
      this.#core.listNamespacedEvent({ namespace: this.namespace, fieldSelector, limit: 50 }),
    )
    const last = items.at(-1)
    return last === undefined ? null : `${last.reason}: ${last.message}`
  }

  /** A reference to the Deployment with which everything goes that refers to it. */
  async owner(deployment: string): Promise<V1OwnerReference> {
    const fieldSelector = `metadata.name=${deployment}`
    const { items } = await this.#call('find the Deployment of the controller', () =>
      this.#apps.listNamespacedDeployment({ namespace: this.namespace, fieldSelector }),
    )
    const uid = items[0]?.metadata?.uid
    if (uid === undefined)
      throw new ApiServerError(`There is no Deployment ${deployment} in namespace ${this.namespace}`, {
        ...{ status: null, cause: null },
      })
    return { apiVersion: 'apps/v1', kind: 'Deployment', name: deployment, uid, blockOwnerDeletion: false }
  }

  /** The Deployments of metadata servers. */
  async listMetadata(): Promise<readonly V1Deployment[]> {
    const labelSelector = selectorOf(this.#instance, 'metadata')
    const { items } = await this.#call('list the Deployments of metadata servers', () =>
      this.#apps.listNamespacedDeployment({ namespace: this.namespace, labelSelector }),
    )
    return items
  }

  /** Creates the Deployment or changes it to what is given. */
  async applyDeployment(body: V1Deployment): Promise<void> {
    await this.#call('apply a Deployment', () =>
      this.#apps.patchNamespacedDeployment(this.#applied(body), this.#asApply()),
    )
  }

  async applyBudget(body: V1PodDisruptionBudget): Promise<void> {
    await this.#call('apply the PodDisruptionBudget', () =>
      this.#policy.patchNamespacedPodDisruptionBudget(this.#applied(body), this.#asApply()),
    )
  }

  get #selector(): string {
    return selectorOf(this.#instance, 'storage-node')
  }

  #applied(body: V1Deployment | V1PodDisruptionBudget) {
    const name = body.metadata?.name ?? ''
    return { name, namespace: this.namespace, body, fieldManager: FIELD_MANAGER, force: true }
  }

  #asApply() {
    const { setHeaderOptions, PatchStrategy } = this.#library
    return setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply)
  }

  #client<Api>(api: new (configuration: Configuration) => Api): Api {
    const { createConfiguration, ServerConfiguration } = this.#library
    const { server = '' } = this.#config.getCurrentCluster() ?? {}
    return new api(
      createConfiguration({
        baseServer: new ServerConfiguration(server, {}),
        authMethods: { default: this.#config },
        promiseMiddleware: [
          {
            pre: async (request) => {
              request.setSignal(AbortSignal.timeout(API_CALL_MS_MAX))
              request.setAgent(await this.#connections())
              return request
            },
            post: async (response) => response,
          },
        ],
      }),
    )
  }

  /** Connections that are used again; the library opens one for each request. */
  async #connections(): Promise<Agent> {
    const nowMs = performance.now()
    if (this.#agent !== null && nowMs - this.#agent.sinceMs < CREDENTIALS_MS) return this.#agent.agent
    const { ca, cert, key, servername, rejectUnauthorized } = await this.#httpsOptions()
    const given = Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(
      ([, value]) => value !== undefined,
    )
    this.#agent = { agent: new Agent({ keepAlive: true, ...Object.fromEntries(given) }), sinceMs: nowMs }
    return this.#agent.agent
  }

  async #httpsOptions() {
    const options: Parameters<KubeConfig['applyToHTTPSOptions']>[0] = {}
    await this.#config.applyToHTTPSOptions(options)
    return options
  }

  /** With a bound for the beginning of the answer. */
  #boundedConfig(): KubeConfig {
    const config = this.#config
    return {
      getCurrentCluster: () => config.getCurrentCluster(),
      applyToFetchOptions: async () => ({
        ...(await config.applyToFetchOptions({})),
        timeout: API_CALL_MS_MAX,
      }),
    } as unknown as KubeConfig
  }

  async #call<T>(what: string, call: () => Promise<T>): Promise<T> {
    return await this.#inFlight.run(1, () =>
      call().catch((cause: unknown) => Promise.reject(asApiServerError(what, cause))),
    )
  }
}

function deliver(type: string, pod: V1Pod, events: PodEvents): void {
  if (type === 'ADDED' || type === 'MODIFIED') events.changed(pod)
  else if (type === 'DELETED') events.deleted(pod)
  const version = pod.metadata?.resourceVersion
  if (version !== undefined) events.at(version)
}

/** The error of a `Status` object. */
function statusError(what: string, status: unknown): ApiServerError {
  const { code = null, message = 'no reason' } = (status ?? {}) as { code?: number; message?: string }
  return new ApiServerError(`Could not ${what}: ${message}`, { status: code, cause: null })
}

function asApiServerError(what: string, cause: unknown): ApiServerError {
  const { code, statusCode, body } = cause as { code?: unknown; statusCode?: number; body?: unknown }
  const status = typeof code === 'number' ? code : (statusCode ?? null)
  const told = typeof body === 'string' ? parseStatus(body) : (body as { message?: string } | undefined)
  const reason =
    told?.message ?? (cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause))
  return new ApiServerError(`Could not ${what}: ${reason}`, { status, cause })
}

function parseStatus(body: string): { message?: string } {
  try {
    return JSON.parse(body) as { message?: string }
  } catch {
    // A proxy before the API server answers with a page.
    return { message: body.slice(0, 200) }
  }
}
