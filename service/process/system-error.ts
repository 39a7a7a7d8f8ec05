/** What the system refused: `ENOENT` and the like, or `unknown` where an error does not come from it. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

/** Whether the disk, the user's quota, or the largest file that the system allows has no room. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(error))
}
