/**
 * The life of a move of slots from a source to a target, as a table: what each event means in each state. A cell that
 * is missing does not compile. Nothing here waits, writes or sends.
 *
 * - `prepared`: written down. The source may have frozen the slots and the target may have their index, but the
 *   target serves nothing and no client knows of it.
 * - `published`: written down after the target had the whole index. From here on the target is the owner; the source
 *   keeps bytes that the target has not pulled, and decides nothing.
 */
export type MoveState = 'prepared' | 'published'

export type MoveEvent =
  /** The source has frozen the slots and the target has confirmed their index. */
  | 'indexDelivered'
  /** The target has all bytes. */
  | 'settled'
  | 'sourceDied'
  | 'targetDied'
  | 'bothDied'

export type MoveOutcome =
  /** The target owns the slots. */
  | 'publish'
  /** The move is over; the source frees what it kept. */
  | 'finish'
  /** The move is over, with holes: exactly the entries whose bytes the source still had are lost. */
  | 'finishWithHoles'
  /** The move never was: the source goes on with what it holds, under a new epoch. */
  | 'restore'
  /** The slots' owner is gone with what it held: they begin anew elsewhere, marked as lost. Copies are not revived. */
  | 'lose'
  /** A late repetition: nothing is left to be done about it. */
  | 'ignore'

export const handoff: Readonly<Record<MoveState, Readonly<Record<MoveEvent, MoveOutcome>>>> = {
  prepared: {
    indexDelivered: 'publish',
    settled: 'ignore',
    // Whether the index was whole is not known here, so what the target has of it does not count.
    sourceDied: 'lose',
    // Nobody can have written to the target: it was never told to serve.
    targetDied: 'restore',
    bothDied: 'lose',
  },
  published: {
    indexDelivered: 'ignore',
    settled: 'finish',
    sourceDied: 'finishWithHoles',
    // Clients may have written to the target: what the source still has is older than that and must not come back.
    targetDied: 'lose',
    bothDied: 'lose',
  },
}
