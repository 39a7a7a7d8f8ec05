import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { MayflyError } from '../../protocol/errors.ts'
import type { Runtime } from '../../protocol/runtime.ts'
import { formatAddress } from '../../protocol/transport/address.ts'
import type { TlsSettings } from '../../service/network/certificates.ts'
import type { Environment } from '../../service/process/environment.ts'
import { writePrivateFile } from '../../service/process/private-file.ts'
import { prepareS3 } from '../../service/s3/prepare-s3.ts'
import { Child, type ChildOptions, type ControllerRequest } from './child.ts'
import { prepareTls } from './cluster-tls.ts'
import type { ClusterConfig } from './config/cluster-config.ts'
import { checkNetwork, isExposed, networkEnvironment } from './config/network-settings.ts'
import { inherited } from './inherited.ts'
import { takeLock } from './lock.ts'
import { LogFolder } from './log-folder.ts'
import { MetadataProcesses } from './metadata-processes.ts'
import { NodeProcesses } from './node-processes.ts'
import { isPortTaken } from './port.ts'
import { gatewayFlags } from './programs.ts'
import { untilServing } from './readiness.ts'
import { ServerProcess } from './server-process.ts'
import {
  type MetadataFolder,
  prepareStateFolder,
  requirePrivateState,
  type StateFolder,
  stateFolderAt,
} from './state-folder.ts'

export const S3_PORT_DEFAULT = 7480

export interface SupervisorOptions {
  /** The state folder; created if missing. */
  readonly dir: string
  /** Port of the controller's HTTP API. 0 takes a free one. */
  readonly port: number
  /** Port of the S3 gateway. 0 takes a free one, and null too if another process has `S3_PORT_DEFAULT`. */
  readonly s3Port: number | null
  readonly config: ClusterConfig
  /** Environment of this process; children get what `inherited` names and their own settings. */
  readonly environment: Environment
  /** The folder of the compiled planes, each `NAME/main.js`. */
  readonly programs: URL
  readonly runtime: Runtime
  /** Prints a line for the user. */
  readonly say: (line: string) => void
}

export interface Cluster {
  readonly url: string
  readonly apiKey: string
  /** The URL of the S3 gateway. */
  readonly s3: string
  /** The CA of its certificates; missing without TLS, and for those that Node trusts. */
  readonly caFile?: string
  /** The file with URL, key and CA. */
  readonly credentialsFile: string
}

/**
 * A cluster on this machine: the parent of the controller, the metadata servers and all storage nodes. It restarts servers that die. Exits
 * of nodes are reported to the controller, which decides.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #folder: StateFolder
  readonly #controller: ServerProcess
  readonly #gateway: ServerProcess
  readonly #metadata: MetadataProcesses
  readonly #nodes: NodeProcesses
  readonly #logs: LogFolder
  readonly #stopping = new AbortController()
  #tls: TlsSettings | null = null
  /** Empty until the controller serves. */
  #controllerUrl = ''
  /** Requests for processes from before the controller's address was known. */
  readonly #early: ControllerRequest[] = []
  #unlock: (() => void) | null = null

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#folder = stateFolderAt(options.dir)
    this.#logs = new LogFolder(this.#folder.logsDir, options.runtime.clock)
    const server = (name: string, spawn: (listen: string) => Child): ServerProcess => {
      const { runtime, say } = options
      return new ServerProcess({ name, spawn, runtime, say })
    }
    this.#controller = server('controller', (listen) => this.#spawnController(listen))
    this.#gateway = server('S3 gateway', (listen) => this.#spawnGateway(listen))
    this.#metadata = new MetadataProcesses({
      dir: this.#folder.dir,
      host: options.config.network.host,
      make: (folder) =>
        server(`metadata server ${folder.id}`, (listen) => this.#spawnMetadata(folder, listen)),
      say: options.say,
      stopped: this.#stopping.signal,
    })
    this.#nodes = new NodeProcesses({
      spawn: (node, nodeClass) => this.#spawnNode(node, nodeClass),
      tell: (message) => this.#controller.send(message),
      onExited: (node, failed) => this.#nodeExited(node, failed),
    })
  }

  /**
   * Resolves when the cluster can serve. Rejects with `UNAVAILABLE` if another cluster uses the folder, the port is taken, or a process
   * does not start; `stop` has to be called then too.
   */
  async start(): Promise<Cluster> {
    const { port, config, say } = this.#options
    const { s3, database, metadataServers, network, ...cluster } = config
    const { host } = network
    const { clock } = this.#options.runtime
    checkNetwork(network)
    requirePrivateState(this.#folder)
    this.#unlock = takeLock(this.#folder.lockFile)
    const { apiKey } = prepareStateFolder(this.#folder)
    this.#logs.watch()
    if (isExposed(network))
      say(`other machines can connect to ${host}, and object bytes and API keys are not encrypted`)
    const { dir } = this.#folder
    this.#tls = await prepareTls(network, { dir, clock, say, stopped: this.#stopping.signal })
    writePrivateFile(this.#folder.clusterFile, `${JSON.stringify(cluster, null, 2)}\n`)
    if (s3 !== null) {
      await prepareS3(s3, clock)
      writePrivateFile(this.#folder.s3File, `${JSON.stringify(s3, null, 2)}\n`)
    }
    if (database !== null) writePrivateFile(this.#folder.databaseFile, `${database}\n`)
    // Sequential: a metadata server sends its token to the controller's port, which may belong to another program before the controller has
    // bound it.
    const at = await this.#controller.start(formatAddress(host, port))
    const scheme = this.#tls === null ? 'http' : 'https'
    const url = `${scheme}://${at}`
    this.#controllerUrl = url
    for (const request of this.#early.splice(0)) this.#handle(request)
    const [gateway] = await Promise.all([this.#startGateway(host), this.#metadata.startAll(metadataServers)])
    const caFile = this.#tls?.caFile ?? null
    const credentials = { url, apiKey, ...(caFile !== null && { caFile }) }
    await untilServing(credentials, { clock, signal: this.#stopping.signal })
    writePrivateFile(this.#folder.credentialsFile, `${JSON.stringify(credentials, null, 2)}\n`)
    const endpoint = `${scheme}://${gateway}`
    return { ...credentials, s3: endpoint, credentialsFile: this.#folder.credentialsFile }
  }

  /**
   * Stops every process, and kills those that exceed the bound. The controller is stopped first, so that it does not react to the exit of
   * the others.
   */
  async stop(): Promise<void> {
    this.#stopping.abort(new MayflyError('CLOSED', 'The cluster was stopped'))
    await this.#controller.stop()
    await Promise.all([this.#gateway.stop(), this.#metadata.stop(), this.#nodes.stop()])
    this.#release()
  }

  /** Kills every process at once. */
  kill(): void {
    this.#controller.kill()
    this.#gateway.kill()
    this.#metadata.kill()
    this.#nodes.kill()
    this.#release()
  }

  async #startGateway(host: string): Promise<string> {
    const { s3Port, say } = this.#options
    if (s3Port !== null) return await this.#gateway.start(formatAddress(host, s3Port))
    const isTaken = await isPortTaken({ host, port: S3_PORT_DEFAULT })
    const address = await this.#gateway.start(formatAddress(host, isTaken ? 0 : S3_PORT_DEFAULT))
    if (isTaken) say(`another process has port ${S3_PORT_DEFAULT}; the S3 gateway is at ${address}`)
    return address
  }

  #release(): void {
    this.#logs.stop()
    this.#unlock?.()
    this.#unlock = null
  }

  #spawnController(listen: string): Child {
    const { controllerDir, apiKeyFile, clusterFile } = this.#folder
    return this.#spawn('controller', {
      name: 'controller',
      settings: {
        ...this.#network(listen),
        ...this.#state(controllerDir),
        ...this.#persistedSettings,
        MAYFLY_API_KEY_FILE: apiKeyFile,
        MAYFLY_CLUSTER_FILE: clusterFile,
      },
      onMessage: (message) => this.#requested(message),
    })
  }

  /** Requests for processes wait for the controller's address; other queries wait only behind such a request. */
  #requested(request: ControllerRequest): void {
    const waits = this.#early.length > 0 || request.type === 'startNode' || request.type === 'startMetadata'
    if (waits && this.#controllerUrl === '') this.#early.push(request)
    else this.#handle(request)
  }

  #handle(request: ControllerRequest): void {
    if (request.type === 'startMetadata') this.#metadata.startOne(request.metadata)
    else this.#nodes.handle(request)
  }

  #spawnMetadata({ id, name, dir }: MetadataFolder, listen: string): Child {
    return this.#spawn('metadata', {
      name,
      settings: {
        ...this.#network(listen),
        MAYFLY_METADATA_ID: id,
        ...this.#state(dir),
        MAYFLY_CONTROLLER_URL: this.#controllerUrl,
      },
    })
  }

  #spawnGateway(listen: string): Child {
    return this.#spawn('gateway', {
      name: 'gateway',
      flags: gatewayFlags,
      settings: {
        ...this.#network(listen),
        MAYFLY_GATEWAY_ID: 'g-1',
        MAYFLY_CONTROLLER_URL: this.#controllerUrl,
      },
    })
  }

  #spawnNode(node: string, className: string): Child {
    const { network, nodeClasses } = this.#options.config
    const nodeClass = nodeClasses.find(({ name }) => name === className)
    if (nodeClass === undefined) throw new Error(`there is no node class '${className}'`)
    return this.#spawn('storage-node', {
      name: node,
      settings: {
        ...this.#network(formatAddress(network.host, 0)),
        MAYFLY_NODE_ID: node,
        MAYFLY_NODE_CLASS: className,
        MAYFLY_NODE_RAM_BYTES: String(nodeClass.ramBytes),
        MAYFLY_NODE_SSD_BYTES: String(nodeClass.ssdBytes),
        MAYFLY_NODE_SSD_DIR: this.#ssdDir(node),
        MAYFLY_NODE_BYTES_PER_SECOND: String(nodeClass.bytesPerSecond),
        // The controller empties a node before it stops it, and the end of the cluster ends its jobs.
        MAYFLY_DRAIN_SECONDS: '0',
        ...this.#persistedSettings,
        MAYFLY_CONTROLLER_URL: this.#controllerUrl,
      },
    })
  }

  #network(listen: string): Environment {
    return networkEnvironment(this.#options.config.network, { listen, tls: this.#tls })
  }

  /** Where a process stores its decisions. */
  #state(dir: string): Environment {
    if (this.#options.config.database === null) return { MAYFLY_DIR: dir }
    return { MAYFLY_DATABASE_FILE: this.#folder.databaseFile }
  }

  /** The store of persistent objects. */
  get #persistedSettings(): Environment {
    const { dir, s3File } = this.#folder
    return { MAYFLY_KEPT_DIR: dir, ...(this.#options.config.s3 !== null && { MAYFLY_S3_FILE: s3File }) }
  }

  #spawn(
    plane: 'controller' | 'metadata' | 'storage-node' | 'gateway',
    { settings, ...child }: Pick<ChildOptions, 'name' | 'flags' | 'onMessage'> & { settings: Environment },
  ): Child {
    const { environment, programs, runtime } = this.#options
    return new Child({
      ...child,
      program: new URL(`${plane}/main.js`, programs),
      environment: {
        ...inherited(environment),
        ...settings,
        MAYFLY_SECRET_FILE: this.#folder.secretFile,
      },
      logFile: this.#logs.open(child.name),
      clock: runtime.clock,
    })
  }

  /** The SSD folder of a node; useless without its process. */
  #ssdDir(node: string): string {
    return join(this.#folder.ssdDir, node)
  }

  #nodeExited(node: string, failed: boolean): void {
    try {
      rmSync(this.#ssdDir(node), { recursive: true, force: true })
      this.#logs.ended(node, { failed })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#options.say(`files of the storage node ${node} are left: ${reason}`)
    }
  }
}
