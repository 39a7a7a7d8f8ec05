import { Counter, Gauge, type Registry } from 'prom-client'

interface Scraped<Label extends string> {
  readonly help: string
  /** None if the metric has one value. */
  readonly labelNames?: readonly Label[]
  readonly read: () => Iterable<readonly [Record<Label, string>, number]>
}

/** A gauge whose values are kept elsewhere; they are read when it is scraped. */
export function scrapedGauge<Label extends string = never>(
  registry: Registry,
  name: string,
  { help, labelNames = [], read }: Scraped<Label>,
): void {
  new Gauge({
    ...{ name, help, labelNames, registers: [registry] },
    collect() {
      this.reset()
      for (const [labels, value] of read()) this.set(labels, value)
    },
  })
}

/** As `scrapedGauge`, for a sum that only grows during the life of the process. */
export function scrapedCounter<Label extends string = never>(
  registry: Registry,
  name: string,
  { help, labelNames = [], read }: Scraped<Label>,
): void {
  new Counter({
    ...{ name, help, labelNames, registers: [registry] },
    collect() {
      this.reset()
      for (const [labels, value] of read()) this.inc(labels, value)
    },
  })
}
