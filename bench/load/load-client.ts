import { type Job, openJob } from 'mayfly'
import { CallLog } from './call-log.ts'
import type { FromLoadClient, LoadOptions, ToLoadClient } from './load.ts'
import { Objects } from './objects.ts'

const FILL_LANES = 16

/**
 * One process of a load: a function that gets any object and puts those of its own, so that it knows the expected bytes of each. It obeys its parent and exits
 * with it.
 */
class LoadClient {
  readonly #options: LoadOptions
  readonly #job: Job
  readonly #objects: Objects
  readonly #log = new CallLog()
  readonly #problems: string[] = []
  /** The version of each object that this process has put or last seen. A get that returns an older one is an error. */
  readonly #versions: Float64Array
  readonly #putting = new Set<number>()
  #lanes: Promise<unknown> = Promise.resolve()
  #running = false

  constructor(options: LoadOptions, job: Job) {
    this.#options = options
    this.#job = job
    this.#objects = new Objects(options.objectBytes)
    this.#versions = new Float64Array(options.objects)
  }

  async fill(): Promise<void> {
    const { client, clients, objects } = this.#options
    let next = client
    const lane = async (): Promise<void> => {
      while (next < objects) {
        const number = next
        next += clients
        await this.#put(number)
      }
    }
    await Promise.all(Array.from({ length: FILL_LANES }, lane))
  }

  start(groups: readonly (readonly number[])[]): void {
    this.#running = true
    const lanes = groups.flatMap((group) => {
      const own = group.filter((number) => this.#isOwn(number))
      return Array.from({ length: this.#options.lanes }, () => this.#lane(group, own))
    })
    this.#lanes = Promise.all(lanes)
  }

  async stop(): Promise<readonly string[]> {
    this.#running = false
    await this.#lanes
    await this.#log.write(this.#options.logFile)
    return this.#problems
  }

  async #lane(group: readonly number[], own: readonly number[]): Promise<void> {
    while (this.#running) {
      const isPut = Math.random() < 0.5
      const number = pick(isPut ? own : group)
      const beganMs = performance.now()
      try {
        await (isPut ? this.#put(number) : this.#get(number))
      } catch (error) {
        this.#problems.push(`${isPut ? 'put' : 'get'} of object ${number}: ${error}`)
      }
      this.#log.add({ key: number, atMs: performance.timeOrigin + beganMs, ms: performance.now() - beganMs })
    }
  }

  /** An object has one put under way at a time, so that its versions rise. A lane that finds one under way gets the object instead. */
  async #put(number: number): Promise<void> {
    if (this.#putting.has(number)) return await this.#get(number)
    this.#putting.add(number)
    try {
      const version = (this.#versions[number] ?? 0) + 1
      await this.#job.put(Objects.keyOf(number), this.#objects.make(number, version))
      this.#versions[number] = version
    } finally {
      this.#putting.delete(number)
    }
  }

  async #get(number: number): Promise<void> {
    const least = this.#versions[number] ?? 0
    const object = await this.#job.get(Objects.keyOf(number))
    const version = this.#objects.versionOf(number, object)
    if (version === null) this.#problems.push(`object ${number} has bytes that nobody put there`)
    else if (version < least) this.#problems.push(`object ${number} is at ${version} again, after ${least}`)
    else if (!this.#isOwn(number)) this.#versions[number] = Math.max(version, this.#versions[number] ?? 0)
  }

  #isOwn(number: number): boolean {
    return number % this.#options.clients === this.#options.client
  }
}

function pick(numbers: readonly number[]): number {
  const number = numbers[Math.floor(Math.random() * numbers.length)]
  if (number === undefined) throw new Error('there is no object to pick')
  return number
}

const options = JSON.parse(process.argv[2] ?? '') as LoadOptions
const client = new LoadClient(options, await openJob(options.ticket))
const tell = (message: FromLoadClient): void => void process.send?.(message)

process.on('message', (message: ToLoadClient) => {
  if (message.type === 'start') client.start(message.groups)
  else void client.stop().then((problems) => tell({ type: 'stopped', problems }))
})
process.on('disconnect', () => process.exit(0))
await client.fill()
tell({ type: 'filled' })
