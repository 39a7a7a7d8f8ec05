import { apiKey, type World } from './world.ts'

interface StreamEvent {
  readonly id: string
  readonly event: string
  readonly data: Record<string, unknown>
}

/** Reads server-sent events until `count` have arrived. */
export async function readEvents(world: World, count: number, headers: Record<string, string> = {}) {
  const cut = new AbortController()
  const response = await fetch(`${world.url}/v1/events`, {
    headers: { authorization: `Bearer ${apiKey}`, ...headers },
    signal: cut.signal,
  })
  const events: StreamEvent[] = []
  let text = ''
  for await (const piece of response.body ?? []) {
    text += Buffer.from(piece).toString()
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    events.push(...blocks.filter((block) => !block.startsWith(':')).map(parse))
    if (events.length >= count) break
  }
  cut.abort()
  return { events, type: response.headers.get('content-type') }
}

function parse(block: string): StreamEvent {
  const lines = block.split('\n').map((line) => line.split(/: (.*)/s))
  const field = (name: string): string => lines.find(([found]) => found === name)?.[1] ?? ''
  return { id: field('id'), event: field('event'), data: JSON.parse(field('data')) }
}
