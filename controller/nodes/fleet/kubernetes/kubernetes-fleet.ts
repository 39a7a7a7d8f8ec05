import type { V1OwnerReference, V1Pod } from '@kubernetes/client-node'
import { asMayflyError } from '../../../../protocol/errors.ts'
import { HEARTBEAT_MS, NODE_START_MS_MAX } from '../../../../protocol/limits.ts'
import { type Runtime, sleep, type Timer, within } from '../../../../protocol/runtime.ts'
import type { Background } from '../../../../service/process/background.ts'
import type { NodeClass } from '../../../sizing/node-class.ts'
import type { Fleet, FleetNode, FleetWatcher } from '../fleet.ts'
import { type ApiServer, ApiServerError } from './api-server.ts'
import { budgetName, disruptionBudget, metadataDeployment, metadataOf } from './companions.ts'
import { BUDGET_MS, FIRST_LIST_MS_MAX, LEADER_LABEL_MS, POD_FAILING_MS_MAX } from './limits.ts'
import { classOf, isOutdated, minAvailable, nodeOf, nodePod, podName, stateOf } from './pod.ts'
import { PodWatch } from './pod-watch.ts'
import type { KubernetesSettings } from './settings.ts'

export interface KubernetesFleetOptions {
  readonly api: ApiServer
  readonly settings: KubernetesSettings
  readonly classes: readonly NodeClass[]
  /** Metadata servers that are started with the fleet. */
  readonly metadataServers: number
  /** The pod of this process, which gets the label of the leader; null if it has none. */
  readonly podName: string | null
  readonly runtime: Runtime
  readonly background: Background
}

/** A pod that is to run and does not yet. */
interface Starting {
  readonly nodeClass: NodeClass
  readonly sinceMs: number
  /** When Kubernetes first failed to start its container; null if it has not. */
  failingSinceMs: number | null
  /** Why it does not exist yet. */
  refused: string | null
}

/**
 * Nodes as pods, one for each. Kubernetes keeps what is to run and what runs, so that a controller that takes over finds it there. A
 * container that terminated proves a death. Nothing else does: not a pod that is gone, nor a machine that does not report.
 */
export class KubernetesFleet implements Fleet {
  readonly isFixed = false
  readonly seesExits = false
  readonly startMsMax: number
  readonly capacityMsMax: number
  readonly #options: KubernetesFleetOptions
  readonly #watch: PodWatch
  readonly #starting = new Map<string, Starting>()
  /** Nodes whose pod is to be deleted. */
  readonly #stopping = new Set<string>()
  /** Nodes whose start was reported, and those whose end was. */
  readonly #told = new Map<string, 'started' | 'ended'>()
  #watcher: FleetWatcher | null = null
  #owner: Promise<V1OwnerReference> | null = null
  #budget: number | null = null
  #budgetIsDue = false
  #beginning: Promise<void> | null = null
  #isListed = false
  /** Whether a caller of `list` waits for the pods, or has them. */
  #isAwaited = true
  #isClosed = false
  readonly #rounds: Pick<Timer, 'cancel'>[] = []

  constructor(options: KubernetesFleetOptions) {
    this.#options = options
    const startMs = options.settings.startSeconds * 1000
    // Kubernetes starts the container, and then the process reports.
    this.startMsMax = startMs + NODE_START_MS_MAX
    // Time for a pod that cannot be started, and for one of another class.
    this.capacityMsMax = 2 * this.startMsMax
    this.#watch = new PodWatch({
      ...options,
      changed: (pod) => this.#changed(pod),
      deleted: (pod) => this.#deleted(pod),
    })
  }

  watch(watcher: FleetWatcher): void {
    this.#watcher = watcher
  }

  start(node: string, className: string): void {
    const nodeClass = this.#options.classes.find(({ name }) => name === className)
    if (nodeClass === undefined) return this.#watcher?.exited(node, `there is no node class '${className}'`)
    const sinceMs = this.#options.runtime.clock.monotonicMs()
    this.#starting.set(node, { nodeClass, sinceMs, failingSinceMs: null, refused: null })
    const isWanted = (): boolean => this.#starting.has(node) && !this.#isClosed
    void this.#options.background.persist(['createPod', node], () => this.#create(node, nodeClass), isWanted)
  }

  stop(node: string): void {
    this.#starting.delete(node)
    if (this.#stopping.has(node)) return
    this.#stopping.add(node)
    const remove = async (): Promise<void> => {
      await this.#delete(node)
      this.#stopping.delete(node)
    }
    void this.#options.background.persist(['deletePod', node], remove, () => !this.#isClosed)
  }

  startMetadata(metadata: string): void {
    const apply = async (): Promise<void> => {
      const { api, settings } = this.#options
      await api.applyDeployment(metadataDeployment(settings, metadata, await this.#ownerReference()))
    }
    void this.#options.background.persist(['applyMetadata', metadata], apply, () => !this.#isClosed)
  }

  /** Begins to watch. Null if the API server does not answer yet; the watcher is told when it does. */
  async list(): Promise<readonly FleetNode[] | null> {
    this.#beginning ??= this.#begin()
    await within(this.#options.runtime.clock, FIRST_LIST_MS_MAX, this.#beginning)
    this.#isAwaited = this.#isListed
    return this.#isListed ? this.#nodes() : null
  }

  /** Resolves when the pods are known. */
  #begin(): Promise<void> {
    const { background } = this.#options
    const isWanted = (): boolean => !this.#isClosed
    void background.persist(['applyMetadata', ''], () => this.#startAllMetadata(), isWanted)
    this.#rounds.push(background.every(HEARTBEAT_MS, ['controlLoop', 'pods'], () => this.#giveUpLate()))
    const { podName } = this.#options
    if (podName !== null) {
      const label = (): Promise<void> => this.#labelLeader(podName)
      void background.persist(['labelLeader', podName], label, isWanted)
      this.#rounds.push(background.every(LEADER_LABEL_MS, ['labelLeader', ''], label))
    }
    return new Promise((resolve) => {
      void this.#watch.run(() => {
        this.#isListed = true
        this.#balanceBudget()
        if (!this.#isAwaited) this.#watcher?.listed(this.#nodes())
        resolve()
      })
    })
  }

  close(): void {
    this.#isClosed = true
    for (const round of this.#rounds) round.cancel()
    this.#watch.close()
  }

  /** This pod gets the label of the leader, and the one that led before loses it. */
  async #labelLeader(own: string): Promise<void> {
    const { api } = this.#options
    const labelled = await api.listLeaders()
    if (!labelled.includes(own)) await api.labelLeader(own, true)
    for (const pod of labelled) if (pod !== own) await api.labelLeader(pod, false).catch(ignoreMissing)
  }

  /** The metadata servers of the config, and those that were started under load. A changed template rolls them. */
  async #startAllMetadata(): Promise<void> {
    const { api, metadataServers } = this.#options
    const present = (await api.listMetadata()).flatMap((deployment) => metadataOf(deployment) ?? [])
    const configured = Array.from({ length: metadataServers }, (_, index) => `m-${index + 1}`)
    for (const metadata of new Set([...configured, ...present])) this.startMetadata(metadata)
  }

  #nodes(): FleetNode[] {
    return this.#watch.pods.flatMap((pod) => {
      const node = nodeOf(pod)
      const { is } = stateOf(pod)
      return node === null || is === 'ended' || is === 'over' ? [] : [this.#fleetNode(node, pod)]
    })
  }

  #fleetNode(node: string, pod: V1Pod): FleetNode {
    const { classes, settings } = this.#options
    const nodeClass = classes.find(({ name }) => name === classOf(pod))
    const template = settings.nodes[nodeClass?.name ?? '']
    const isCurrent =
      nodeClass !== undefined && template !== undefined && !isOutdated(pod, template, nodeClass)
    return { node, pid: null, ...(!isCurrent && { isOutdated: true }) }
  }

  async #create(node: string, nodeClass: NodeClass): Promise<void> {
    const { api, settings } = this.#options
    const { name: instance, nodes } = settings
    const template = nodes[nodeClass.name]
    if (template === undefined) throw new Error(`class ${nodeClass.name} has no template`)
    try {
      await api.createPod(
        nodePod(template, { instance, node, nodeClass, owner: await this.#ownerReference() }),
      )
    } catch (error) {
      if (!(error instanceof ApiServerError) || error.status !== 409) return this.#refused(node, error)
    }
    // It was stopped while the request was under way.
    if (!this.#starting.has(node)) await this.#delete(node)
  }

  #refused(node: string, error: unknown): void {
    const { reason } = asMayflyError(error)
    const starting = this.#starting.get(node)
    if (starting !== undefined) starting.refused = reason
    if (!(error instanceof ApiServerError) || !error.isFinal) throw error
    this.#giveUp(node, reason)
  }

  async #delete(node: string): Promise<void> {
    const name = podName(this.#options.settings.name, node)
    try {
      await this.#options.api.deletePod(name)
    } catch (error) {
      if (!(error instanceof ApiServerError) || error.status !== 404) throw error
      // If the watch still shows it, it is about to report the deletion.
      if (this.#watch.get(name) === undefined) this.#watcher?.gone(node, 'it has no pod')
    }
  }

  #ownerReference(): Promise<V1OwnerReference> {
    const { api, settings } = this.#options
    this.#owner ??= api.owner(settings.deployment).catch((error: unknown) => {
      this.#owner = null
      throw error
    })
    return this.#owner
  }

  #changed(pod: V1Pod): void {
    const node = nodeOf(pod)
    if (node === null) return
    const state = stateOf(pod)
    if (state.is === 'ended' || state.is === 'over') {
      this.#ended(node, state)
      this.stop(node)
    } else if (!this.#told.has(node)) {
      this.#told.set(node, 'started')
      this.#watcher?.started(this.#fleetNode(node, pod))
    }
    const starting = this.#starting.get(node)
    if (state.is !== 'waiting') this.#starting.delete(node)
    else if (starting !== undefined && state.isFailing)
      starting.failingSinceMs ??= this.#options.runtime.clock.monotonicMs()
    this.#balanceBudget()
  }

  #deleted(pod: V1Pod): void {
    const node = nodeOf(pod)
    if (node === null) return
    const state = stateOf(pod)
    const isOver = state.is === 'ended' || state.is === 'over'
    this.#ended(node, isOver ? state : { is: 'over', reason: 'its pod was deleted' })
    this.#starting.delete(node)
    this.#told.delete(node)
    this.#balanceBudget()
  }

  #ended(node: string, { is, reason }: { is: 'ended' | 'over'; reason: string }): void {
    if (this.#told.get(node) === 'ended') return
    this.#told.set(node, 'ended')
    if (is === 'ended') this.#watcher?.exited(node, reason)
    else this.#watcher?.gone(node, reason)
  }

  /** Gives up pods that have not started in time, with the reason that Kubernetes has. */
  async #giveUpLate(): Promise<void> {
    const { runtime, settings } = this.#options
    const nowMs = runtime.clock.monotonicMs()
    for (const [node, { sinceMs, failingSinceMs, refused }] of this.#starting) {
      const pod = this.#watch.get(podName(settings.name, node))
      if (pod !== undefined && stateOf(pod).is !== 'waiting') {
        this.#starting.delete(node)
        continue
      }
      const isFailing = failingSinceMs !== null && nowMs - failingSinceMs > POD_FAILING_MS_MAX
      if (!isFailing && nowMs - sinceMs < settings.startSeconds * 1000) continue
      this.#giveUp(node, (await this.#whyLate(node)) ?? refused ?? 'Kubernetes gives no reason')
    }
  }

  async #whyLate(node: string): Promise<string | null> {
    const name = podName(this.#options.settings.name, node)
    const pod = this.#watch.get(name)
    if (pod === undefined) return null
    const state = stateOf(pod)
    if (state.is === 'waiting' && state.reason !== null) return state.reason
    return await this.#options.api.lastWarning(name).catch(() => null)
  }

  #giveUp(node: string, reason: string): void {
    const starting = this.#starting.get(node)
    if (starting === undefined) return
    this.#starting.delete(node)
    const seconds = Math.round((this.#options.runtime.clock.monotonicMs() - starting.sinceMs) / 1000)
    this.#watcher?.gone(node, `its pod has not started within ${seconds} s: ${reason}`)
  }

  /** Lets Kubernetes disrupt one pod at a time. Many pods that start or end at once cause one request a second, and the last state is applied last. */
  #balanceBudget(): void {
    if (!this.#isListed || this.#budgetIsDue || minAvailable(this.#watch.pods) === this.#budget) return
    this.#budgetIsDue = true
    void this.#applyBudget()
  }

  async #applyBudget(): Promise<void> {
    const { api, settings, background, runtime } = this.#options
    const apply = async (): Promise<void> => {
      const least = minAvailable(this.#watch.pods)
      await api.applyBudget(disruptionBudget(settings.name, least, await this.#ownerReference()))
      this.#budget = least
    }
    await background.persist(['applyBudget', budgetName(settings.name)], apply, () => !this.#isClosed)
    await sleep(runtime.clock, BUDGET_MS)
    this.#budgetIsDue = false
    if (!this.#isClosed) this.#balanceBudget()
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof ApiServerError) || error.status !== 404) throw error
}
