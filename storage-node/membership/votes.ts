import { MayflyError } from '../../protocol/errors.ts'
import { METADATA_SERVERS_MAX } from '../../protocol/limits.ts'

/** Which process of each metadata server this node follows: of those that have asked, the one with the highest generation. */
export class Votes {
  readonly #generations = new Map<string, number>()

  /** The generation that the node follows from now on. */
  cast({ server, generation }: { readonly server: string; readonly generation: number }): number {
    const followed = this.#generations.get(server)
    if (followed === undefined && this.#generations.size >= METADATA_SERVERS_MAX)
      throw new MayflyError('BAD_REQUEST', `server: more than ${METADATA_SERVERS_MAX} have asked`)
    const highest = Math.max(generation, followed ?? 0)
    this.#generations.set(server, highest)
    return highest
  }
}
