import { Histogram, type MetricObjectWithValues, type MetricValueWithName, type Registry } from 'prom-client'

/** Counts of one label set: one for each bound, and one above the last. */
interface Classes {
  readonly labels: Readonly<Record<string, string>>
  readonly counts: ArrayLike<number>
  readonly sumSeconds: number
}

interface LatencyHistogramOptions {
  readonly name: string
  readonly help: string
  readonly registers: Registry[]
  readonly boundsSeconds: readonly number[]
  readonly read: () => readonly Classes[]
}

/** A histogram of counts that are kept elsewhere; they are read when it is scraped. */
export class LatencyHistogram extends Histogram {
  readonly #options: LatencyHistogramOptions

  constructor(options: LatencyHistogramOptions) {
    const { name, help, registers, boundsSeconds } = options
    super({ name, help, registers, buckets: [...boundsSeconds] })
    this.#options = options
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const { name, help } = this.#options
    const values = this.#options.read().flatMap((classes) => this.#valuesOf(classes))
    return { name, help, type: 'histogram' as never, aggregator: 'sum', collect: () => undefined, values }
  }

  getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.get()
  }

  #valuesOf({ labels, counts, sumSeconds }: Classes): MetricValueWithName<string>[] {
    const { name, boundsSeconds } = this.#options
    let upTo = 0
    const buckets = [...boundsSeconds, '+Inf'].map((le, index) => {
      upTo += counts[index] ?? 0
      return { metricName: `${name}_bucket`, labels: { ...labels, le: String(le) }, value: upTo }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sumSeconds },
      { metricName: `${name}_count`, labels, value: upTo },
    ]
  }
}
