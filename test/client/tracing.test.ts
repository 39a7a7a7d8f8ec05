import { trace } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, onTestFinished, test } from 'vitest'
import type { ExportedSpan } from '../../service/tracing/span-exporter.ts'
import { Tracing } from '../../service/tracing/tracing.ts'
import { open, Planes } from '../fixture/planes.ts'

/** A real tracer, what it has recorded, and what the node has. */
async function startTraced(options: { sampled?: boolean } = {}) {
  const exporter = new InMemorySpanExporter()
  const sampler = {
    shouldSample: () => ({ decision: options.sampled === false ? 0 : 2 }),
    toString: () => 'test',
  }
  const provider = new BasicTracerProvider({ sampler, spanProcessors: [new SimpleSpanProcessor(exporter)] })
  onTestFinished(() => provider.shutdown())
  const ofNode: ExportedSpan[] = []
  const tracing = new Tracing({ add: (span) => void ofNode.push(span) })
  const planes = await Planes.start()
  const node = await planes.startNode(undefined, undefined, { tracing })
  const ticket = await planes.createJob('j-1', [node])
  const tracer = provider.getTracer('test')
  const named = (name: string): ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => span.name === name)
  return { ticket, tracer, ofNode, named, job: await open(ticket, { tracer }) }
}

test('each call has a span with its key, and the span of the node is beneath it', async () => {
  const { job, named, ofNode } = await startTraced()
  await job.put('k', 'x')
  const [put] = named('mayfly.put')
  expect(put?.attributes).toEqual({ 'mayfly.job': 'j-1', 'mayfly.key': 'k' })
  expect(put?.kind).toBe(2)
  const { traceId, spanId } = put?.spanContext() ?? {}
  expect(ofNode).toEqual([
    expect.objectContaining({ name: 'put', traceId, parentSpanId: spanId, status: {} }),
  ])
})

test('a call that consists of others has one span, and all of its messages are beneath it', async () => {
  const { job, named, ofNode } = await startTraced()
  await job.putJson('k', { a: 1 })
  expect(await job.getJson('k')).toEqual({ a: 1 })
  expect(await job.exists('k')).toBe(true)
  expect(named('mayfly.put').concat(named('mayfly.get'), named('mayfly.stat'))).toEqual([])
  const parents = [named('mayfly.putJson'), named('mayfly.getJson'), named('mayfly.exists')].map(
    ([span]) => span?.spanContext().spanId,
  )
  expect(ofNode.map(({ name }) => name)).toEqual(['put', 'get', 'stat'])
  expect(ofNode.map(({ parentSpanId }) => parentSpanId)).toEqual(parents)
})

test('the messages of a large object, a stream and many keys are beneath their call', async () => {
  const { job, named, ofNode } = await startTraced()
  const large = Buffer.alloc(3 * 1024 * 1024, 'x')
  await job.put('large', large)
  const pieces: Buffer[] = []
  for await (const piece of job.getStream('large')) pieces.push(piece as Buffer)
  expect(Buffer.concat(pieces).equals(large)).toBe(true)
  await job.putMany([{ key: 'a', bytes: '1' }])
  await job.getMany(['a', 'b'])
  await job.statMany(['a', 'b'])
  await expect.poll(() => named('mayfly.getStream').length).toBe(1)
  const under = (call: string): string[] => {
    const id = named(call)[0]?.spanContext().spanId
    return ofNode.filter(({ parentSpanId }) => parentSpanId === id).map(({ name }) => name)
  }
  expect(under('mayfly.put')).toEqual(['putBegin', 'chunkPut', 'chunkPut', 'chunkPut', 'putCommit'])
  expect(under('mayfly.getStream')).toEqual(['get', 'chunkGet', 'chunkGet', 'chunkGet'])
  expect(under('mayfly.putMany')).toEqual(['putMany'])
  expect(under('mayfly.getMany')).toEqual(['getMany'])
  expect(under('mayfly.statMany')).toEqual(['statMany'])
})

test('the span of a call that fails names the error, as does that of the node', async () => {
  const { job, named, ofNode } = await startTraced()
  await expect(job.get('missing')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const [get] = named('mayfly.get')
  expect(get?.status).toMatchObject({ code: 2, message: expect.stringContaining('missing') })
  expect(get?.attributes).toMatchObject({ 'error.type': 'NOT_FOUND' })
  expect(ofNode).toEqual([
    expect.objectContaining({ name: 'get', status: expect.objectContaining({ code: 2 }) }),
  ])
  await expect(job.get('')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  expect(named('mayfly.get')[1]?.attributes).toMatchObject({ 'error.type': 'BAD_REQUEST' })
})

test('of a trace that is not sampled the node records nothing', async () => {
  const { job, named, ofNode } = await startTraced({ sampled: false })
  await job.put('k', 'x')
  expect((await job.get('k')).toString()).toBe('x')
  expect([...named('mayfly.put'), ...ofNode]).toEqual([])
})

test('a tracer that records nothing changes nothing, and neither does none', async () => {
  const { ticket, ofNode } = await startTraced()
  for (const options of [{ tracer: trace.getTracer('no SDK is registered') }, {}]) {
    const job = await open(ticket, options)
    await job.put('k', 'x')
    expect((await job.get('k')).toString()).toBe('x')
    expect(Object.hasOwn(job, 'put')).toBe('tracer' in options)
  }
  expect(ofNode).toEqual([])
})

test('what is no tracer is refused by name', async () => {
  const { ticket } = await startTraced()
  // biome-ignore lint/suspicious/noExplicitAny: what an untyped program passes.
  await expect(open(ticket, { tracer: {} as any })).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('tracer: it is an object, not a tracer of OpenTelemetry'),
  })
})
