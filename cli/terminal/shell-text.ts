/** A word for a POSIX shell: text from a file or a variable must not be run as a command. */
export function shellText(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
