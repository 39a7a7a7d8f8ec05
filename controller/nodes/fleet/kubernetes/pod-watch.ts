import type { V1Pod } from '@kubernetes/client-node'
import { TASK_RETRY_MS_MAX, TASK_RETRY_MS_MIN } from '../../../../protocol/limits.ts'
import { backoffMs, type Runtime, sleep } from '../../../../protocol/runtime.ts'
import type { Background } from '../../../../service/process/background.ts'
import { type ApiServer, ApiServerError } from './api-server.ts'
import { RESYNC_MS } from './limits.ts'

export interface PodWatchOptions {
  readonly api: ApiServer
  readonly runtime: Runtime
  readonly background: Background
  readonly changed: (pod: V1Pod) => void
  /** `pod` is its last known state. */
  readonly deleted: (pod: V1Pod) => void
}

/** HTTP status of a watch from a version that the API server has forgotten. */
const EXPIRED = 410

/**
 * The pods of storage nodes as Kubernetes knows them: listed once, then watched. A watch that ends or breaks goes on where it was; if the
 * history there is compacted, and from time to time in any case, all pods are listed again.
 */
export class PodWatch {
  readonly #options: PodWatchOptions
  readonly #pods = new Map<string, V1Pod>()
  readonly #closed = new AbortController()
  #resourceVersion: string | null = null
  #listedMs = Number.NEGATIVE_INFINITY

  constructor(options: PodWatchOptions) {
    this.#options = options
  }

  get pods(): readonly V1Pod[] {
    return [...this.#pods.values()]
  }

  get(name: string): V1Pod | undefined {
    return this.#pods.get(name)
  }

  /** Runs until it is closed. `onListed` is called after the first list. Never rejects. */
  async run(onListed: () => void): Promise<void> {
    const { background, runtime } = this.#options
    for (let failures = 0; !this.#closed.signal.aborted; ) {
      const isDone = await background.attempt(['watchPods', ''], async () => {
        const isFirst = this.#listedMs === Number.NEGATIVE_INFINITY
        const version = await this.#listIfDue()
        if (isFirst) onListed()
        await this.#watch(version)
      })
      failures = isDone ? 0 : failures + 1
      const pauseMs = backoffMs(Math.max(0, failures - 1), retry, runtime.random)
      if (failures > 0) await sleep(runtime.clock, pauseMs, this.#closed.signal)
    }
  }

  close(): void {
    this.#closed.abort()
  }

  async #listIfDue(): Promise<string> {
    const { api, runtime } = this.#options
    const isDue = runtime.clock.monotonicMs() - this.#listedMs > RESYNC_MS
    if (this.#resourceVersion !== null && !isDue) return this.#resourceVersion
    const { pods, resourceVersion } = await api.listPods()
    const present = new Set(pods.map(({ metadata }) => metadata?.uid))
    for (const pod of this.pods) if (!present.has(pod.metadata?.uid)) this.#delete(pod)
    for (const pod of pods) this.#change(pod)
    this.#listedMs = runtime.clock.monotonicMs()
    this.#resourceVersion = resourceVersion
    return resourceVersion
  }

  async #watch(from: string): Promise<void> {
    const events = {
      changed: (pod: V1Pod) => this.#change(pod),
      deleted: (pod: V1Pod) => this.#delete(pod),
      at: (version: string) => {
        this.#resourceVersion = version
      },
    }
    try {
      await this.#options.api.watchPods(from, { events, signal: this.#closed.signal })
    } catch (error) {
      if (!(error instanceof ApiServerError) || error.status !== EXPIRED) throw error
      this.#resourceVersion = null
    }
  }

  #change(pod: V1Pod): void {
    const { name = '', resourceVersion } = pod.metadata ?? {}
    const known = this.#pods.get(name)
    if (known !== undefined && known.metadata?.resourceVersion === resourceVersion) return
    this.#pods.set(name, pod)
    this.#options.changed(pod)
  }

  #delete(pod: V1Pod): void {
    if (this.#pods.delete(pod.metadata?.name ?? '')) this.#options.deleted(pod)
  }
}

const retry = { msMin: TASK_RETRY_MS_MIN, msMax: TASK_RETRY_MS_MAX }
