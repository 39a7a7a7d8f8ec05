/** One text of a plane's source and its replacement. */
interface Edit {
  readonly file: string
  /** Must occur in the file exactly once; otherwise the build fails with the name of the bug, so that no bug becomes stale. */
  readonly find: string
  readonly replace: string
}

/** A bug that is built into the planes, to check that the simulation catches it. */
export interface Planted extends Edit {
  readonly name: string
  /** What goes wrong, and the invariant of ARCHITECTURE.md that the bug attacks. */
  readonly what: string
  /** More edits, for example because a second check would hide the bug, or a name has to be imported. */
  readonly also?: readonly Edit[]
  /** The profile that reveals it, see `profiles.ts`; the usual mixture by default. */
  readonly profile?: string
  /** At least one of the seeds from 1 to this one fails. */
  readonly seedsMax: number
}
