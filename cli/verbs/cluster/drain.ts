import { isError, MayflyError } from '../../../protocol/errors.ts'
import { DRAIN_STALL_MS_MAX } from '../../../protocol/limits.ts'
import { sleep, systemRuntime } from '../../../protocol/runtime.ts'
import { findCredentials } from '../../api/credentials.ts'
import { type Credentials, request, requestAll } from '../../api/http.ts'
import type { NodeReply } from '../../api/replies.ts'
import { DrainProgress, type Left } from '../../terminal/drain-progress.ts'
import type { Terminal } from '../../terminal/terminal.ts'
import {
  type AddVerb,
  addVerb,
  type ClusterFlags,
  clusterOptions,
  type JsonFlag,
  jsonOption,
  onRun,
} from '../../verb.ts'

/** Nodes report every second; a shorter interval only detects the exit of the process sooner. */
const LOOK_MS = 250

const { clock } = systemRuntime

export const drain: AddVerb = (parent, cli) => {
  const verb = addVerb(parent, 'drain', {
    summary: 'move everything from a node to others, and stop it',
    details:
      'Functions go on meanwhile. Interrupting the command does not stop the drain; the same command watches it again.',
    examples: ['mayfly drain n-gqqxmn5bk3', 'mayfly drain n-gqqxmn5bk3 --json'],
  }).argument('<node>', 'id of a node (mayfly nodes)')
  jsonOption(clusterOptions(verb), 'a line of JSON for each change')
  onRun<ClusterFlags & JsonFlag>(verb, cli, async (words, flags) => {
    const credentials = findCredentials(flags, cli.config)
    const path = `/v1/nodes/${encodeURIComponent(words[0] as string)}/drain`
    const node = await request<NodeReply>(credentials, { method: 'POST', path })
    await watch(node, credentials, { terminal: cli.terminal, json: flags.json === true })
    cli.terminal.print(
      flags.json === true
        ? JSON.stringify({ event: 'stopped', node: node.id })
        : `${node.id} is empty and has stopped`,
    )
  })
}

/** Resolves once the node's process has exited. Until then it prints what is left whenever that changes. */
async function watch(
  begun: NodeReply,
  credentials: Credentials,
  { terminal: { print, redraw }, json }: { terminal: Terminal; json: boolean },
): Promise<void> {
  const { id } = begun
  const progress = new DrainProgress(id, clock.monotonicMs())
  const show = (left: Left): void => {
    if (json) print(JSON.stringify({ event: 'draining', node: id, ...left }))
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
    if (!json) redraw?.('')
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
    const nodes = await requestAll<NodeReply>(credentials, 'nodes')
    return nodes.find((node) => node.id === id) ?? null
  } catch (error) {
    if (isError(error, 'UNAVAILABLE')) return 'silent'
    throw error
  }
}
