import type { PlacedNode } from '../../protocol/model/placement.ts'

/**
 * The voters of a role: nodes that tell, while the database does not, which process of the role they follow. They stand beside the lead, and its
 * holder replaces them with a renewal. One renewal without an answer leaves two sets of which either may be stored.
 */
export class Electorate {
  #stored: readonly PlacedNode[]
  /** In a renewal that has no answer yet; it is repeated until there is one. */
  #sent: readonly PlacedNode[] | null = null

  constructor(stored: readonly PlacedNode[]) {
    this.#stored = stored
  }

  /** What a renewal is to store; null if the voters stay. */
  send(nominated: readonly PlacedNode[] | null): readonly PlacedNode[] | null {
    if (this.#sent === null && nominated !== null && !isSame(nominated, this.#stored)) this.#sent = nominated
    return this.#sent
  }

  /** Whether a renewal has to store these voters first. */
  isNew(nominated: readonly PlacedNode[]): boolean {
    return !isSame(nominated, this.#sent ?? this.#stored)
  }

  /** The renewal is stored. */
  confirmSent(): void {
    this.#stored = this.#sent ?? this.#stored
    this.#sent = null
  }

  /** All that may be voters. */
  get voters(): PlacedNode[] {
    return [...new Map(this.#sets.flat().map((voter) => [voter.id, voter])).values()]
  }

  /** Whether more than half are among `followers`, whichever set is stored: then less than half follow anybody else. */
  hasMajority(followers: ReadonlySet<string>): boolean {
    return this.#sets.every((set) => 2 * countOf(set, followers) > set.length)
  }

  /** Whether at least half are among `followers`: then nobody else has a majority. */
  hasHalf(followers: ReadonlySet<string>): boolean {
    return this.#sets.every((set) => 2 * countOf(set, followers) >= set.length)
  }

  get #sets(): (readonly PlacedNode[])[] {
    return this.#sent === null ? [this.#stored] : [this.#stored, this.#sent]
  }
}

function countOf(voters: readonly PlacedNode[], followers: ReadonlySet<string>): number {
  return voters.filter(({ id }) => followers.has(id)).length
}

function isSame(some: readonly PlacedNode[], others: readonly PlacedNode[]): boolean {
  return some.length === others.length && some.every(({ id }, index) => id === others[index]?.id)
}
