import type { SystemName } from '../clients/open.ts'
import { cpuSeconds } from '../probes/process-stat.ts'
import type { Server } from '../servers/server.ts'
import type { Params, Result, TaskName } from '../tasks/tasks.ts'
import { Driver } from './driver.ts'

/** One system in a comparison: a running server and the processes that use it. */
export class Entrant {
  readonly system: SystemName
  readonly server: Server
  readonly #drivers = new Map<string, Promise<Driver>>()
  #clientCpuSeconds = 0

  constructor(system: SystemName, server: Server) {
    this.system = system
    this.server = server
  }

  /** Runs a task in a client process, which is started at its first use. */
  async run<Name extends TaskName>(name: Name, params: Params<Name>, driver = 0): Promise<Result<Name>> {
    const [result] = await this.#runIn({ driver, clients: 1 }, name, params)
    return result as Result<Name>
  }

  /** Runs a task on all clients of several processes at once. */
  async runOnAll<Name extends TaskName>(
    { processes, clients }: { processes: number; clients: number },
    name: Name,
    params: Params<Name>,
  ): Promise<Result<Name>[]> {
    const drivers = Array.from({ length: processes }, (_, driver) => ({ driver, clients }))
    // All are ready before the first begins.
    await Promise.all(drivers.map((each) => this.#driver(each)))
    return (await Promise.all(drivers.map((each) => this.#runIn(each, name, params)))).flat()
  }

  async #runIn<Name extends TaskName>(
    which: { driver: number; clients: number },
    name: Name,
    params: Params<Name>,
  ): Promise<readonly Result<Name>[]> {
    const { results, cpuSeconds } = await (await this.#driver(which)).run(name, params)
    this.#clientCpuSeconds += cpuSeconds
    return results
  }

  #driver({ driver, clients }: { driver: number; clients: number }): Promise<Driver> {
    const id = `${driver} with ${clients}`
    const started = this.#drivers.get(id) ?? Driver.start(this.system, this.server.target, clients)
    this.#drivers.set(id, started)
    return started
  }

  /** Runs `work` and measures the CPU time of all processes of client and server. */
  async costOf<Value>(work: () => Promise<Value>): Promise<{ value: Value; cost: Cost }> {
    const pids = await this.server.pids()
    const serverBefore = await cpuSeconds(pids)
    const clientBefore = this.#clientCpuSeconds
    const value = await work()
    const cost = {
      clientCpuSeconds: this.#clientCpuSeconds - clientBefore,
      serverCpuSeconds: (await cpuSeconds(pids)) - serverBefore,
    }
    return { value, cost }
  }

  /** Ends the client processes; the next task starts new ones. */
  async endDrivers(): Promise<void> {
    const started = [...this.#drivers.values()]
    this.#drivers.clear()
    const drivers = await Promise.allSettled(started)
    await Promise.all(
      drivers.map((driver) => (driver.status === 'fulfilled' ? driver.value.end() : undefined)),
    )
  }
}

export interface Cost {
  readonly clientCpuSeconds: number
  readonly serverCpuSeconds: number
}
