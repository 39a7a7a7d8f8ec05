import type { PlacedNode } from '../../protocol/model/placement.ts'
import { nodeOperations } from '../../protocol/operations/plane-operations.ts'
import { type Clock, within } from '../../protocol/runtime.ts'
import { VOTE_MS, VOTERS_MAX } from '../../service/postgres/limits.ts'
import type { Tenure } from '../store/placement-store.ts'
import type { Messenger } from './messenger.ts'

interface VotesOptions {
  /** Id of the server. */
  readonly server: string
  readonly generation: number
  readonly tenure: Tenure
  readonly clock: Clock
  readonly messenger: Messenger
  /** Nominates the voters of the next round. */
  readonly nominate: () => void
  /** Called when a node follows a later process of the server. */
  readonly onSuperseded: () => void
}

/**
 * Asks nodes for their votes where the database cannot tell which process is the metadata server: a server whose database is away goes on with a majority of
 * them, and its successor knows with half of them that it does not.
 */
export class Votes {
  readonly #options: VotesOptions

  constructor(options: VotesOptions) {
    this.#options = options
  }

  /** To be called every `HEARTBEAT_MS`. Never rejects. */
  async round(): Promise<void> {
    const { tenure, clock, nominate } = this.#options
    nominate()
    const { voters } = tenure
    if (voters.length === 0) return
    const askedMs = clock.monotonicMs()
    const followers = new Set<string>()
    const asked = voters.map(async (voter) => {
      if (!(await this.#follows(voter))) return
      followers.add(voter.id)
      // A majority counts although others do not answer.
      tenure.voted(followers, askedMs)
    })
    await within(clock, VOTE_MS, Promise.all(asked))
  }

  async #follows(voter: PlacedNode): Promise<boolean> {
    const { server, generation, messenger, onSuperseded } = this.#options
    try {
      const vote = await messenger.send(voter, nodeOperations.vote, { server, generation })
      if (vote.generation > generation) onSuperseded()
      return vote.generation === generation
    } catch {
      // It is gone, or cut off.
      return false
    }
  }
}

/** The same ones each time, so that they are rarely replaced. Ids are random, so the first ones are on any machines. */
export function votersAmong(nodes: readonly PlacedNode[]): PlacedNode[] {
  return [...nodes].sort((a, b) => (a.id < b.id ? -1 : 1)).slice(0, VOTERS_MAX)
}
