import { asMayflyError, MayflyError } from '../../protocol/errors.ts'
import { METADATA_SERVERS_MAX } from '../../protocol/limits.ts'
import { formatAddress, parseAddress } from '../../protocol/transport/address.ts'
import { readFileIfThere, writePrivateFile } from '../../service/process/private-file.ts'
import type { ServerProcess } from './server-process.ts'
import {
  type MetadataFolder,
  metadataFolderAt,
  metadataNumbers,
  prepareMetadataFolder,
} from './state-folder.ts'

export interface MetadataProcessesOptions {
  /** The state folder of the cluster. */
  readonly dir: string
  readonly host: string
  /** Creates the process of one server without starting it. */
  readonly make: (folder: MetadataFolder) => ServerProcess
  /** Prints a line for the user. */
  readonly say: (line: string) => void
  readonly stopped: AbortSignal
}

/** The metadata servers of this machine, each with its own folder. */
export class MetadataProcesses {
  readonly #options: MetadataProcessesOptions
  readonly #processes = new Map<string, ServerProcess>()

  constructor(options: MetadataProcessesOptions) {
    this.#options = options
  }

  /** Starts `count` servers, and every server with a folder, as it has the records of jobs. */
  async startAll(count: number): Promise<void> {
    const numbers = new Set([...Array.from({ length: count }, (_, index) => index + 1)])
    for (const number of metadataNumbers(this.#options.dir)) numbers.add(number)
    await Promise.all([...numbers].map((number) => this.#start(metadataFolderAt(this.#options.dir, number))))
  }

  /** Starts a server for the controller. A failure is printed, and the controller asks again. */
  startOne(id: string): void {
    const number = Number(/^m-(\d+)$/.exec(id)?.[1] ?? Number.NaN)
    if (this.#processes.has(id) || this.#options.stopped.aborted) return
    const folder = metadataFolderAt(this.#options.dir, number)
    const started =
      number >= 1 && number <= METADATA_SERVERS_MAX
        ? this.#start(folder)
        : Promise.reject(new MayflyError('BAD_REQUEST', `There can be no metadata server '${id}'`))
    started.catch((error: unknown) => {
      this.#processes.delete(id)
      this.#options.say(`the metadata server ${id} could not be started: ${asMayflyError(error).reason}`)
    })
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((server) => server.stop()))
  }

  kill(): void {
    for (const server of this.#processes.values()) server.kill()
  }

  /** Tickets carry the server's address, so it restarts on the same port if that is free. */
  async #start(folder: MetadataFolder): Promise<void> {
    const { host, make, say, stopped } = this.#options
    const { id, portFile } = folder
    const server = make(folder)
    this.#processes.set(id, server)
    prepareMetadataFolder(folder)
    const formerPort = Number(readFileIfThere(portFile) ?? 0)
    const start = (port: number): Promise<string> => server.start(formatAddress(host, port))
    const address = await start(formerPort).catch(async (error: unknown) => {
      if (formerPort === 0 || stopped.aborted) throw error
      const other = await start(0)
      say(`the metadata server ${id} cannot have its port ${formerPort} again; older tickets no longer work`)
      return other
    })
    writePrivateFile(portFile, `${parseAddress(address).port}\n`)
  }
}
