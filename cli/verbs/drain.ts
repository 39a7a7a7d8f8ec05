import { isError, MayflyError } from '../../protocol/errors.ts'
import { DRAIN_STALL_MS_MAX } from '../../protocol/limits.ts'
import { sleep, systemRuntime } from '../../protocol/runtime.ts'
import { dirOption, findCredentials } from '../api/credentials.ts'
import { type Credentials, request, requestAll } from '../api/http.ts'
import type { NodeReply } from '../api/replies.ts'
import { DrainProgress, type Left } from '../drain-progress.ts'
import type { Verb, VerbInput } from '../verb.ts'

/** Nodes report every second; a shorter interval only detects the exit of the process sooner. */
const LOOK_MS = 250

const { clock } = systemRuntime

export const drain: Verb = {
  usage: 'drain NODE [--dir DIR] [--json]',
  summary: 'move everything from a node to others, and stop it',
  shape: { options: { json: 'flag', ...dirOption }, required: ['NODE'], optional: [] },
  async run(input) {
    const { args, config, print } = input
    const credentials = findCredentials(args, config)
    const path = `/v1/nodes/${encodeURIComponent(args.word(0))}/drain`
    const node = await request<NodeReply>(credentials, { method: 'POST', path })
    await watch(node, credentials, input)
    print(
      args.flag('json')
        ? JSON.stringify({ event: 'stopped', node: node.id })
        : `${node.id} is empty and has stopped`,
    )
    return 0
  },
}

/** Resolves once the node's process has exited. Until then it prints what is left whenever that changes. */
async function watch(begun: NodeReply, credentials: Credentials, input: VerbInput): Promise<void> {
  const { args, print, redraw } = input
  const { id } = begun
  const progress = new DrainProgress(id, clock.monotonicMs())
  const show = (left: Left): void => {
    if (args.flag('json')) print(JSON.stringify({ event: 'draining', node: id, ...left }))
    else if (redraw === undefined) print(progress.line())
    else redraw(progress.bar())
  }
  try {
    for (
      let node: NodeReply | null | 'silent' = begun;
      node !== null;
      node = await lookLater(credentials, id)
    ) {
      const left = node === 'silent' ? undefined : node.left
      if (left !== undefined && progress.note(left, clock.monotonicMs())) show(left)
      if (node !== 'silent' && node.state === 'lost') {
        throw new MayflyError('OBJECT_LOST', `Node ${id} died while it drained, with what it still held`)
      }
      if (progress.isStalled(clock.monotonicMs())) throw stalled(progress)
    }
  } finally {
    if (!args.flag('json')) redraw?.('')
  }
}

function stalled(progress: DrainProgress): MayflyError {
  const seconds = DRAIN_STALL_MS_MAX / 1000
  return new MayflyError(
    'DEADLINE_EXCEEDED',
    `Nothing has moved for ${seconds} s (${progress.line()}); the drain goes on, and the same command watches it again`,
  )
}

/** The node; null once it has stopped. An unreachable controller may be restarting. */
async function lookLater(credentials: Credentials, id: string): Promise<NodeReply | null | 'silent'> {
  await sleep(clock, LOOK_MS)
  try {
    const nodes = await requestAll<NodeReply>(credentials, '/v1/nodes', 'nodes')
    return nodes.find((node) => node.id === id) ?? null
  } catch (error) {
    if (isError(error, 'UNAVAILABLE')) return 'silent'
    throw error
  }
}
