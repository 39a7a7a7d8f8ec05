import { setTimeout as sleep } from 'node:timers/promises'
import { type Job, openJob } from 'mayfly'
import { CallLog } from './call-log.ts'
import { Objects } from './objects.ts'
import type { FromPacedClient, PacedOptions, ToPacedClient } from './paced-load.ts'

/** A call that is later than this is dropped: after a pause the load shows fewer bytes moved instead of a burst. */
const LATE_MS_MAX = 200
const TELL_MS = 250

/**
 * One process of a load at a set rate: a function that puts and gets objects of its own, so that it knows the expected bytes of each. It obeys its parent and
 * exits with it.
 */
class PacedClient {
  readonly #options: PacedOptions
  readonly #job: Job
  readonly #objects: Objects
  readonly #log = new CallLog()
  readonly #problems: string[] = []
  readonly #versions: Float64Array
  #bytesPerSecond = 0
  #dueMs = performance.now()
  #movedBytes = 0
  #calls = 0
  #lanes: Promise<unknown> = Promise.resolve()
  #running = true

  constructor(options: PacedOptions, job: Job) {
    this.#options = options
    this.#job = job
    this.#objects = new Objects(options.objectBytes)
    this.#versions = new Float64Array(options.objects)
  }

  start(): void {
    const { lanes } = this.#options
    this.#lanes = Promise.all(Array.from({ length: lanes }, (_, lane) => this.#lane(lane)))
  }

  pace(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
  }

  get progress(): FromPacedClient {
    return { type: 'progress', movedBytes: this.#movedBytes, calls: this.#calls }
  }

  async stop(): Promise<FromPacedClient> {
    this.#running = false
    await this.#lanes
    await this.#log.write(this.#options.logFile)
    return { type: 'stopped', problems: this.#problems }
  }

  /** Each lane has objects of its own and alternates between a put and a get of the same object. */
  async #lane(lane: number): Promise<void> {
    const { lanes, objects } = this.#options
    for (let number = lane; this.#running; number = number + lanes < objects ? number + lanes : lane) {
      if (!(await this.#call('put', number))) return
      if (!(await this.#call('get', number))) return
    }
  }

  /** Makes the call at its scheduled time; false if the load has ended. */
  async #call(kind: 'put' | 'get', number: number): Promise<boolean> {
    if (!(await this.#turn())) return false
    const beganMs = performance.now()
    try {
      await (kind === 'put' ? this.#put(number) : this.#get(number))
      this.#movedBytes += this.#options.objectBytes
    } catch (error) {
      this.#problems.push(`${kind} of object ${number}: ${error}`)
    }
    this.#calls++
    this.#log.add({ key: number, atMs: performance.timeOrigin + beganMs, ms: performance.now() - beganMs })
    return true
  }

  async #turn(): Promise<boolean> {
    while (this.#running && this.#bytesPerSecond === 0) await sleep(10)
    const now = performance.now()
    this.#dueMs =
      Math.max(this.#dueMs, now - LATE_MS_MAX) + (this.#options.objectBytes * 1000) / this.#bytesPerSecond
    const waitMs = this.#dueMs - now
    if (waitMs > 1) await sleep(waitMs)
    return this.#running
  }

  async #put(number: number): Promise<void> {
    const version = (this.#versions[number] ?? 0) + 1
    await this.#job.put(Objects.keyOf(number), this.#objects.make(number, version))
    this.#versions[number] = version
  }

  async #get(number: number): Promise<void> {
    const object = await this.#job.get(Objects.keyOf(number))
    const version = this.#objects.versionOf(number, object)
    if (version !== this.#versions[number])
      this.#problems.push(`object ${number} is at ${version}, not at ${this.#versions[number]}`)
  }
}

const options = JSON.parse(process.argv[2] ?? '') as PacedOptions
const client = new PacedClient(options, await openJob(options.ticket))
const tell = (message: FromPacedClient): void => void process.send?.(message)

process.on('message', (message: ToPacedClient) => {
  if (message.type === 'pace') client.pace(message.bytesPerSecond)
  else void client.stop().then(tell)
})
process.on('disconnect', () => process.exit(0))
setInterval(() => tell(client.progress), TELL_MS)
client.start()
tell(client.progress)
